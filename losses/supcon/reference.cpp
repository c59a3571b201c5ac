// The formulas of kernels.h, loop by loop.
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/supcon/kernels.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kindred {
namespace {

template <typename T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <typename T>
T logit(const SupConRows& rows, std::int64_t i, const SupConRows& columns, std::int64_t j, double temperature) {
  const std::int64_t dim = rows.features.dim(1);
  const T* a = rows.features.data<T>() + i * dim;
  const T* b = columns.features.data<T>() + j * dim;
  T sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += a[d] * b[d];
  return sum / static_cast<T>(temperature);
}

bool match(const Tensor& labels, std::int64_t i, const Tensor& other_labels, std::int64_t j,
           const Tensor& mask) {
  if (!mask.defined()) return labels.data<std::int32_t>()[i] == other_labels.data<std::int32_t>()[j];
  const std::int64_t images = mask.dim(0);
  return mask.data<std::uint8_t>()[i % images * images + j % images] != 0;
}

enum class Pair { none, positive, negative };

Pair pair_of(const SupConRows& rows, std::int64_t i, const SupConRows& columns, std::int64_t j,
             std::int64_t row_offset, const SupConFormula& formula) {
  if (j == row_offset + i) return Pair::none;
  if (!match(rows.labels, i, columns.labels, j, formula.mask)) return Pair::negative;
  if (formula.ring == 0) return Pair::positive;
  const std::int32_t* row_cap = rows.cap.data<std::int32_t>();
  const std::int32_t place = columns.cap.data<std::int32_t>()[supcon_place * columns.features.dim(0) + j];
  const std::int64_t count = rows.features.dim(0);
  const std::int64_t away = (place - row_cap[supcon_image * count + i] + formula.ring) % formula.ring;
  return away <= row_cap[supcon_reach * count + i] ? Pair::positive : Pair::none;
}

// log of the sum of exp(values)
template <typename T>
T log_sum_exp(const std::vector<T>& values) {
  if (values.empty()) return -infinity<T>;
  const T maximum = *std::max_element(values.begin(), values.end());
  T sum = 0;
  for (const T value : values) sum += std::exp(value - maximum);
  return maximum + std::log(sum);
}

// log(1 + e^x)
template <typename T>
T softplus(T x) {
  return std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x)));
}

template <typename T>
struct Anchor {
  T loss = 0, weight = infinity<T>, second = infinity<T>, share = 0;
};

// The table of kernels.h. There is at least one positive; the logits are those of an anchor.
template <typename T>
Anchor<T> finish(const std::vector<T>& positives, const std::vector<T>& negatives, const SupConFormula& f,
                 const Anchor<T>& nothing) {
  const T count = static_cast<T>(positives.size());
  const T log_positive = log_sum_exp(positives), log_negative = log_sum_exp(negatives);
  // Relative to the largest, so that the mean of equal logits is exact.
  const T largest = *std::max_element(positives.begin(), positives.end());
  T mean = 0;
  for (const T s : positives) mean += s - largest;
  mean = largest + mean / count;
  const bool out = f.variant == SupConVariant::out;
  if (f.denominator == SupConDenominator::one_positive) {
    if (negatives.empty()) return {};          // every t_p is 1
    std::vector<T> log_t, log_rest, log_both;  // log of t, 1 - t, t (1 - t)
    T mean_log_t = 0;
    for (const T s : positives) {
      log_t.push_back(-softplus(log_negative - s));
      log_rest.push_back(-softplus(s - log_negative));
      log_both.push_back(log_t.back() + log_rest.back());
      mean_log_t += log_t.back() / count;
    }
    // t_p / e^s_p = (1 - t_p) / E-
    if (out)
      return {-mean_log_t, log_negative - log_sum_exp(log_rest) + std::log(count), log_negative, 1 / count};
    const T log_q = log_sum_exp(log_t);
    return {std::log(count) - log_q, log_negative - log_sum_exp(log_both) + log_q, log_negative, log_q};
  }
  const bool all = f.denominator == SupConDenominator::all;
  if (!all && negatives.empty()) return nothing;  // the denominator is an empty sum
  const T denominator = all ? log_sum_exp(std::vector<T>{log_positive, log_negative}) : log_negative;
  if (out) return {denominator - mean, denominator, 0, 1 / count};
  return {denominator - log_positive + std::log(count), denominator, log_positive, 1};
}

template <typename T>
void forward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, Output losses) {
  const std::int64_t count = rows.features.dim(0);
  Anchor<T> nothing;
  nothing.share = static_cast<T>(no_share(pull_of(formula.variant, formula.denominator)));
  const auto set_terms = [&](std::int64_t i, const Anchor<T>& anchor) {
    T* terms = rows.terms.data<T>();
    terms[supcon_weight * count + i] = anchor.weight;
    terms[supcon_second * count + i] = anchor.second;
    terms[supcon_share * count + i] = anchor.share;
  };
  for (std::int64_t i = 0; i < count; ++i) {
    set_terms(i, nothing);
    if (i >= losses.numel()) continue;
    // The self-similarity is left out before any maximum is taken: with long vectors it would make all other
    // terms underflow.
    std::vector<T> positives, negatives;
    for (std::int64_t j = 0; j < columns.features.dim(0); ++j) {
      const Pair pair = pair_of(rows, i, columns, j, formula.row_offset, formula);
      if (pair == Pair::none) continue;
      (pair == Pair::positive ? positives : negatives)
          .push_back(logit<T>(rows, i, columns, j, formula.temperature));
    }
    rows.positives.data<std::int32_t>()[i] = static_cast<std::int32_t>(positives.size());
    rows.negatives.data<std::int32_t>()[i] = static_cast<std::int32_t>(negatives.size());
    std::vector<T> all = positives;
    all.insert(all.end(), negatives.begin(), negatives.end());
    rows.lse.data<T>()[i] = log_sum_exp(all);
    const Anchor<T> anchor = positives.empty() ? nothing : finish(positives, negatives, formula, nothing);
    losses.data<T>()[i] = anchor.loss;
    set_terms(i, anchor);
  }
}

template <typename T>
void mean(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale, Output loss,
          Output weight) {
  double sum = 0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < losses.numel(); ++i) {
    sum += static_cast<double>(losses.data<T>()[i]);
    if (reduction == SupConReduction::all_anchors || positives.data<std::int32_t>()[i] > 0) ++count;
  }
  const double per_anchor = count > 0 ? scale / static_cast<double>(count) : 0.0;
  loss.data<T>()[0] = static_cast<T>(per_anchor * sum);
  weight.data<T>()[0] = static_cast<T>(per_anchor);
}

// G: the derivative of anchor i's loss with respect to its logit `s` with a contrast.
template <typename T>
T logit_gradient(const SupConRows& anchors, std::int64_t i, T s, Pair pair, const SupConFormula& formula) {
  if (!anchors.terms.defined() || pair == Pair::none) return T{0};
  const std::int64_t count = anchors.features.dim(0);
  const T* terms = anchors.terms.data<T>();
  const T push = std::exp(s - terms[supcon_weight * count + i]);
  if (pair == Pair::negative) return push;
  const T second = terms[supcon_second * count + i], share = terms[supcon_share * count + i];
  const T log_t = -softplus(second - s), log_rest = -softplus(s - second);
  const T pushed = formula.denominator == SupConDenominator::all ? push : T{0};
  switch (pull_of(formula.variant, formula.denominator)) {
    case SupConPull::constant:
      return pushed - share;
    case SupConPull::exponential:
      return pushed - (share > 0 ? share * std::exp(s - second) : T{0});
    case SupConPull::others:
      return pushed - share * std::exp(log_rest);
    case SupConPull::product:
      return pushed - std::exp(log_t + log_rest - share);
  }
  return T{0};
}

template <typename T>
void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output d_rows) {
  const std::int64_t dim = d_rows.dim(1), offset = formula.row_offset;
  const T factor = upstream.data<T>()[0] * weight.data<T>()[0] / static_cast<T>(formula.temperature);
  for (std::int64_t i = 0; i < rows.features.dim(0); ++i) {
    T* gradient = d_rows.data<T>() + i * dim;
    std::fill(gradient, gradient + dim, T{0});
    for (std::int64_t j = 0; j < columns.features.dim(0); ++j) {
      const T s = logit<T>(rows, i, columns, j, formula.temperature);
      T g = 0;
      if (rows.terms.defined())
        g += logit_gradient(rows, i, s, pair_of(rows, i, columns, j, offset, formula), formula);
      if (columns.terms.defined())
        g += logit_gradient(columns, j, s, pair_of(columns, j, rows, i, -offset, formula), formula);
      if (j == offset + i) continue;
      const T* column = columns.features.data<T>() + j * dim;
      for (std::int64_t d = 0; d < dim; ++d) gradient[d] += factor * g * column[d];
    }
  }
}

// Walks the ring from each row's own image on until it has found enough positives.
void cap(const Tensor& labels, const Tensor& mask, int views, int positives_cap, Output cap) {
  const std::int64_t rows = cap.dim(1), images = rows / views;
  std::int32_t* values = cap.data<std::int32_t>();
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t image = i % images, view = i / images;
    std::int64_t reach = rows;
    int found = 0;
    for (std::int64_t away = 0; away < rows && reach == rows; ++away) {
      const std::int64_t j = away % views * images + (image + away / views) % images;
      if (j != i && match(labels, i, labels, j, mask) && ++found == positives_cap) reach = away;
    }
    values[supcon_place * rows + i] = static_cast<std::int32_t>(image * views + view);
    values[supcon_image * rows + i] = static_cast<std::int32_t>(image * views);
    values[supcon_reach * rows + i] = static_cast<std::int32_t>(reach);
  }
}

}  // namespace

const SupConKernels supcon_reference = {
    cap,
    [](const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, Output losses) {
      dispatch_reference("supcon", losses.dtype(),
                         [&]<typename T>(T) { forward<T>(rows, columns, formula, losses); });
    },
    [](const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale, Output loss,
       Output weight) {
      dispatch_reference("supcon", losses.dtype(),
                         [&]<typename T>(T) { mean<T>(losses, positives, reduction, scale, loss, weight); });
    },
    [](const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, const Tensor& upstream,
       const Tensor& weight, Output d_rows) {
      dispatch_reference("supcon", d_rows.dtype(),
                         [&]<typename T>(T) { backward<T>(rows, columns, formula, upstream, weight, d_rows); });
    },
};

}  // namespace kindred
