#include <kindred/engine/cpu/vector_math.h>
#include <kindred/losses/supcon/cpu_rows.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/losses/supcon/cpu_rows.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::supcon_rows::HWY_NAMESPACE {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// exp(logit - the maximum of its kind). Both cases are computed and one is selected, without a branch.
inline float exponential(float logit, std::int32_t kind, float max_positive, float max_negative) {
  return fast_exp(logit - (kind == positive ? max_positive : max_negative));
}

// G of kernels.h for one side of a pair.
template <SupConPull pull>
HWY_INLINE float gradient(float s, std::int32_t kind, float all, float weight, float second, float share) {
  const float push = fast_exp(s - weight);
  const float apart = s - second;
  float pulled = share;
  if constexpr (pull == SupConPull::exponential) pulled = share * fast_exp(apart);
  // Beyond e^40 the fraction is 0 to the last bit. The limit prevents overflow.
  if constexpr (pull == SupConPull::others) pulled = share / (1.0f + fast_exp(apart > 40.0f ? 40.0f : apart));
  if constexpr (pull == SupConPull::product) {
    const float far = apart > 0 ? -apart : apart, smaller = 1.0f + fast_exp(far);
    pulled = fast_exp(far - share) / (smaller * smaller);
  }
  const float of_positive = all * push - pulled;
  return kind == positive ? of_positive : kind == negative ? push : 0.0f;
}

template <bool all>
void shifted_gradients(float* logits, std::int64_t count, float shift, const std::int32_t* kinds, const RowTerms& row,
                       const ColumnTerms& columns) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) {
    const float push = fast_exp(logits[j] - shift) * (row.weight + columns.weight[j]);
    const float pulled = row.share + columns.share[j];
    const float of_positive = all ? push - pulled : -pulled;  // positives may not be in the denominator
    logits[j] = kinds[j] == positive ? of_positive : kinds[j] == negative ? push : 0.0f;
  }
}

template <SupConPull pull>
void gradients(float all, float* logits, std::int64_t count, const std::int32_t* row_kinds, const RowTerms& row,
               const std::int32_t* column_kinds, const ColumnTerms& columns) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j)
    logits[j] =
        gradient<pull>(logits[j], row_kinds[j], all, row.weight, row.second, row.share) +
        gradient<pull>(logits[j], column_kinds[j], all, columns.weight[j], columns.second[j], columns.share[j]);
}

}  // namespace

void kinds_by_label(const std::int32_t* labels, std::int64_t count, std::int32_t label, std::int32_t* kinds) {
  for (std::int64_t j = 0; j < count; ++j) kinds[j] = labels[j] == label ? positive : negative;
}

void kinds_by_mask(const std::uint8_t* allowed, std::int64_t count, std::int32_t* kinds) {
  for (std::int64_t j = 0; j < count; ++j) kinds[j] = allowed[j] != 0 ? positive : negative;
}

void drop_beyond_row(const std::int32_t* places, std::int64_t count, std::int32_t image, std::int32_t reach,
                     std::int32_t ring, std::int32_t* kinds) {
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int32_t away = places[j] - image + (places[j] < image ? ring : 0);
    kinds[j] = kinds[j] == positive && away > reach ? none : kinds[j];
  }
}

void drop_beyond_columns(const std::int32_t* images, const std::int32_t* reaches, std::int64_t count,
                         std::int32_t place, std::int32_t ring, std::int32_t* kinds) {
  for (std::int64_t j = 0; j < count; ++j) {
    const std::int32_t away = place - images[j] + (place < images[j] ? ring : 0);
    kinds[j] = kinds[j] == positive && away > reaches[j] ? none : kinds[j];
  }
}

PairSums sum_row(const float* logits, const std::int32_t* kinds, std::int64_t count) {
  float max_positive = -infinity, max_negative = -infinity;
#pragma omp simd reduction(max : max_positive, max_negative)
  for (std::int64_t j = 0; j < count; ++j) {
    const float p = kinds[j] == positive ? logits[j] : -infinity,
                n = kinds[j] == negative ? logits[j] : -infinity;
    max_positive = p > max_positive ? p : max_positive;
    max_negative = n > max_negative ? n : max_negative;
  }
  float exp_positive = 0, exp_negative = 0, positive_logits = 0;
  std::int32_t positives = 0, negatives = 0;
#pragma omp simd reduction(+ : exp_positive, exp_negative, positive_logits, positives, negatives)
  for (std::int64_t j = 0; j < count; ++j) {
    const float e = exponential(logits[j], kinds[j], max_positive, max_negative);
    exp_positive += kinds[j] == positive ? e : 0.0f;
    exp_negative += kinds[j] == negative ? e : 0.0f;
    positive_logits += kinds[j] == positive ? logits[j] - max_positive : 0.0f;
    positives += kinds[j] == positive ? 1 : 0;
    negatives += kinds[j] == negative ? 1 : 0;
  }
  return {max_positive, max_negative, exp_positive, exp_negative, positive_logits, positives, negatives};
}

void add_column_maxima(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) {
    const float p = kinds[j] == positive ? logits[j] : -infinity,
                n = kinds[j] == negative ? logits[j] : -infinity;
    sums.max_positive[j] = p > sums.max_positive[j] ? p : sums.max_positive[j];
    sums.max_negative[j] = n > sums.max_negative[j] ? n : sums.max_negative[j];
  }
}

void add_column_sums(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) {
    const float e = exponential(logits[j], kinds[j], sums.max_positive[j], sums.max_negative[j]);
    sums.positive_exponentials[j] += kinds[j] == positive ? e : 0.0f;
    sums.negative_exponentials[j] += kinds[j] == negative ? e : 0.0f;
    sums.positive_logits[j] += kinds[j] == positive ? logits[j] - sums.max_positive[j] : 0.0f;
    sums.positives[j] += kinds[j] == positive ? 1 : 0;
    sums.negatives[j] += kinds[j] == negative ? 1 : 0;
  }
}

float squared_length(const float* values, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < count; ++j) sum += values[j] * values[j];
  return sum;
}

PairSums add_to_both(const float* logits, const std::int32_t* kinds, std::int64_t count, float shift, ColumnSums& sums) {
  float exp_positive = 0, exp_negative = 0, positive_logits = 0;
  std::int32_t positives = 0;
#pragma omp simd reduction(+ : exp_positive, exp_negative, positive_logits, positives)
  for (std::int64_t j = 0; j < count; ++j) {
    const float apart = logits[j] - shift, e = fast_exp(apart);
    const float p = kinds[j] == positive ? e : 0.0f, n = kinds[j] == positive ? 0.0f : e;
    const float logit = kinds[j] == positive ? apart : 0.0f;
    const std::int32_t one = kinds[j] == positive ? 1 : 0;
    exp_positive += p;
    exp_negative += n;
    positive_logits += logit;
    positives += one;
    sums.positive_exponentials[j] += p;
    sums.negative_exponentials[j] += n;
    sums.positive_logits[j] += logit;
    sums.positives[j] += one;
  }
  return {shift, shift, exp_positive, exp_negative, positive_logits, positives, static_cast<std::int32_t>(count) - positives};
}

void shifted_logits_to_gradients(bool all, float* logits, std::int64_t count, float shift, const std::int32_t* kinds,
                                 const RowTerms& row, const ColumnTerms& columns) {
  if (all)
    shifted_gradients<true>(logits, count, shift, kinds, row, columns);
  else
    shifted_gradients<false>(logits, count, shift, kinds, row, columns);
}

void logits_to_gradients(SupConPull pull, bool all, float* logits, std::int64_t count,
                         const std::int32_t* row_kinds, const RowTerms& row, const std::int32_t* column_kinds,
                         const ColumnTerms& columns) {
  const float factor = all ? 1.0f : 0.0f;
  switch (pull) {
    case SupConPull::constant:
      return gradients<SupConPull::constant>(factor, logits, count, row_kinds, row, column_kinds, columns);
    case SupConPull::exponential:
      return gradients<SupConPull::exponential>(factor, logits, count, row_kinds, row, column_kinds, columns);
    case SupConPull::others:
      return gradients<SupConPull::others>(factor, logits, count, row_kinds, row, column_kinds, columns);
    case SupConPull::product:
      return gradients<SupConPull::product>(factor, logits, count, row_kinds, row, column_kinds, columns);
  }
}

}  // namespace kindred::supcon_rows::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred::supcon_rows {

HWY_EXPORT(kinds_by_label);
HWY_EXPORT(kinds_by_mask);
HWY_EXPORT(drop_beyond_row);
HWY_EXPORT(drop_beyond_columns);
HWY_EXPORT(sum_row);
HWY_EXPORT(add_column_maxima);
HWY_EXPORT(add_column_sums);
HWY_EXPORT(squared_length);
HWY_EXPORT(add_to_both);
HWY_EXPORT(shifted_logits_to_gradients);
HWY_EXPORT(logits_to_gradients);

void kinds_by_label(const std::int32_t* labels, std::int64_t count, std::int32_t label, std::int32_t* kinds) {
  KINDRED_FOR_TARGET(kinds_by_label)(labels, count, label, kinds);
}

void kinds_by_mask(const std::uint8_t* allowed, std::int64_t count, std::int32_t* kinds) {
  KINDRED_FOR_TARGET(kinds_by_mask)(allowed, count, kinds);
}

void drop_beyond_row(const std::int32_t* places, std::int64_t count, std::int32_t image, std::int32_t reach,
                     std::int32_t ring, std::int32_t* kinds) {
  KINDRED_FOR_TARGET(drop_beyond_row)(places, count, image, reach, ring, kinds);
}

void drop_beyond_columns(const std::int32_t* images, const std::int32_t* reaches, std::int64_t count,
                         std::int32_t place, std::int32_t ring, std::int32_t* kinds) {
  KINDRED_FOR_TARGET(drop_beyond_columns)(images, reaches, count, place, ring, kinds);
}

PairSums sum_row(const float* logits, const std::int32_t* kinds, std::int64_t count) {
  return KINDRED_FOR_TARGET(sum_row)(logits, kinds, count);
}

void add_column_maxima(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums) {
  KINDRED_FOR_TARGET(add_column_maxima)(logits, kinds, count, sums);
}

void add_column_sums(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums) {
  KINDRED_FOR_TARGET(add_column_sums)(logits, kinds, count, sums);
}

float squared_length(const float* values, std::int64_t count) {
  return KINDRED_FOR_TARGET(squared_length)(values, count);
}

PairSums add_to_both(const float* logits, const std::int32_t* kinds, std::int64_t count, float shift, ColumnSums& sums) {
  return KINDRED_FOR_TARGET(add_to_both)(logits, kinds, count, shift, sums);
}

void shifted_logits_to_gradients(bool all, float* logits, std::int64_t count, float shift, const std::int32_t* kinds,
                                 const RowTerms& row, const ColumnTerms& columns) {
  KINDRED_FOR_TARGET(shifted_logits_to_gradients)(all, logits, count, shift, kinds, row, columns);
}

void logits_to_gradients(SupConPull pull, bool all, float* logits, std::int64_t count,
                         const std::int32_t* row_kinds, const RowTerms& row, const std::int32_t* column_kinds,
                         const ColumnTerms& columns) {
  KINDRED_FOR_TARGET(logits_to_gradients)(pull, all, logits, count, row_kinds, row, column_kinds, columns);
}

void ColumnSums::clear(std::int64_t count) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::fill_n(max_positive, count, -infinity);
  std::fill_n(max_negative, count, -infinity);
  for (float* sums : {positive_exponentials, negative_exponentials, positive_logits})
    std::fill_n(sums, count, 0.0f);
  for (std::int32_t* numbers : {positives, negatives}) std::fill_n(numbers, count, 0);
}

PairSums ColumnSums::column(std::int64_t j) const {
  return {
      max_positive[j], max_negative[j], positive_exponentials[j], negative_exponentials[j], positive_logits[j],
      positives[j],    negatives[j]};
}

}  // namespace kindred::supcon_rows
#endif
