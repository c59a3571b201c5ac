// Tiles of logits that stay in the processor's cache: a matrix product by oneDNN, then vectorised loops over
// its rows (cpu_rows.h).
//
// The forward pass keeps running log-sum-exps. The backward pass computes each tile again, which is cheaper
// than storing it. If rows and columns are the same, the tile of the blocks I and J is the transpose of the
// tile of J and I, so each tile is computed once and used for both blocks. The tiles are processed in rounds in
// which every block takes part at most once, like teams in a tournament. So no two threads ever write to the
// same rows, and no sum depends on timing.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/losses/supcon/anchor.h>
#include <kindred/losses/supcon/cpu_rows.h>
#include <kindred/losses/supcon/kernels.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kindred {
namespace {

using namespace supcon_rows;
using namespace supcon_anchor;

// A tile is at most 256 x 256 (square) or 128 x 512 floats: 256 KiB, a part of the L2 cache.
constexpr std::int64_t most_square = 256, most_rows = 128;
constexpr std::int64_t tile_elements = most_square * most_square;
static_assert(most_rows * most_columns <= tile_elements && most_square <= most_columns);

struct Tile {
  std::int64_t row, rows;        // first and number
  std::int64_t column, columns;  // first and number, too
  float* logits;                 // [rows, columns]
  // The columns are rows too, and this is the only tile of these two blocks, so what the rows are to the
  // columns must be used as well.
  bool both;
};

void compute_logits(const SupConRows& rows, const SupConRows& columns, double temperature, const Tile& tile) {
  const std::int64_t dim = rows.features.dim(1);
  onednn::sgemm({.m = tile.rows, .n = tile.columns, .k = dim, .transpose_b = true},
                rows.features.data<float>() + tile.row * dim,
                columns.features.data<float>() + tile.column * dim, tile.logits,
                {.product = static_cast<float>(1 / temperature)});
}

// Memory for one tile of each thread.
Tensor tile_scratch() {
  return Tensor::empty({compute_threads(), tile_elements}, DType::f32, Device::cpu);
}

// Calls body(tile), on all threads, for tiles that combine some rows with all columns. Tiles are skipped unless
// `needed(first, count)` is true for their rows or, in a square, for their columns. oneDNN detects that it is
// called inside a parallel region and then computes on the calling thread only.
template <typename Needed, typename Body>
void for_each_tile_of_rectangle(const SupConRows& rows, const SupConRows& columns, double temperature,
                                Needed&& needed, Body&& body) {
  const std::int64_t count = rows.features.dim(0), contrasts = columns.features.dim(0);
  // For small batches the blocks are narrower, so that every thread gets some.
  const std::int64_t block =
      std::clamp<std::int64_t>((count + compute_threads() - 1) / compute_threads(), 16, most_rows);
  const Tensor scratch = tile_scratch();
  parallel_ranges((count + block - 1) / block, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    Tile tile{0, 0, 0, 0, scratch.data<float>() + range * tile_elements, false};
    for (tile.row = begin * block; tile.row < std::min(count, end * block); tile.row += block) {
      tile.rows = std::min(block, count - tile.row);
      if (!needed(tile.row, tile.rows)) continue;
      for (tile.column = 0; tile.column < contrasts; tile.column += most_columns) {
        tile.columns = std::min(most_columns, contrasts - tile.column);
        compute_logits(rows, columns, temperature, tile);
        body(tile);
      }
    }
  });
}

template <typename Needed, typename Body>
void for_each_tile_of_square(const SupConRows& rows, double temperature, Needed&& needed, Body&& body) {
  const std::int64_t count = rows.features.dim(0);
  // At least four blocks per thread, so that a round has a pair for each thread.
  const std::int64_t block = std::clamp<std::int64_t>(
      (count / std::max<std::int64_t>(16, 4 * compute_threads()) + 15) / 16 * 16, 32, most_square);
  const std::int64_t blocks = (count + block - 1) / block;
  const std::int64_t teams = blocks + blocks % 2;  // if the number is odd, one block pauses in each round
  const Tensor scratch = tile_scratch();
  const auto play = [&](int range, std::int64_t a, std::int64_t b) {
    if (std::max(a, b) >= blocks) return;
    const std::int64_t row = std::min(a, b) * block, column = std::max(a, b) * block;
    const Tile tile{row,
                    std::min(block, count - row),
                    column,
                    std::min(block, count - column),
                    scratch.data<float>() + range * tile_elements,
                    a != b};
    if (!needed(tile.row, tile.rows) && !needed(tile.column, tile.columns)) return;
    compute_logits(rows, rows, temperature, tile);
    body(tile);
  };
  parallel_ranges(blocks, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    for (std::int64_t a = begin; a < end; ++a) play(range, a, a);
  });
  // The last team stays and the others rotate in a circle, so every two teams meet once in teams - 1 rounds.
  const std::int64_t circle = teams - 1;
  for (std::int64_t round = 0; blocks > 1 && round < circle; ++round)
    parallel_ranges(teams / 2, 1, [&](int range, std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k)
        play(range, (round + k) % circle, k == 0 ? circle : (round - k + circle) % circle);
    });
}

template <typename Needed, typename Body>
void for_each_tile(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
                   Needed&& needed, Body&& body) {
  if (same_rows(rows, columns, formula))
    for_each_tile_of_square(rows, formula.temperature, needed, body);
  else
    for_each_tile_of_rectangle(rows, columns, formula.temperature, needed, body);
}

void take_longer(float length, float& longest) {
  if (std::isnan(length) || length > longest) longest = length;
}

// The square of the length of the longest row; NaN if there is one.
float longest_squared(const Tensor& features) {
  const std::int64_t rows = features.dim(0), dim = features.dim(1);
  const float* values = features.data<float>();
  std::vector<float> longest(static_cast<std::size_t>(compute_threads()), 0.0f);
  parallel_ranges(rows, 256, [&](int range, std::int64_t begin, std::int64_t end) {
    float& of_range = longest[static_cast<std::size_t>(range)];
    for (std::int64_t r = begin; r < end; ++r) take_longer(squared_length(values + r * dim, dim), of_range);
  });
  float result = 0;
  for (const float length : longest) take_longer(length, result);
  return result;
}

// A logit is a product of two features by the temperature, so with features of length 1 none is above 1 / temperature and none
// below its negative. If these are close enough for f32, the upper bound is what every row and column subtracts from logits
// before it takes exponentials, and each is computed once for both. Otherwise the answer is NaN, and each has its own maximum; also
// with a cap (ring), where a pair may be positive for one side alone.
float shared_shift(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula) {
  if (formula.ring != 0) return NAN;
  constexpr float widest = 80;  // e^-80 is above the smallest normal float, e^-87
  const float of_rows = longest_squared(rows.features);
  const float of_columns = same_rows(rows, columns, formula) ? of_rows : longest_squared(columns.features);
  const float bound = std::sqrt(of_rows * of_columns) * static_cast<float>(1.0001 / formula.temperature);
  return 2 * bound <= widest ? bound : NAN;
}

// ---- what a row is to the columns of a tile, and what they are to it

class PairKinds {
 public:
  PairKinds(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula)
      : rows_(rows), columns_(columns), formula_(formula) {}

  // Sets the kinds for the row tile.row + i.
  void set_row(const Tile& tile, std::int64_t i) {
    const std::int64_t r = tile.row + i;
    if (formula_.mask.defined())
      set_by_mask(tile, r);
    else
      kinds_by_label(columns_.labels.data<std::int32_t>() + tile.column, tile.columns,
                     rows_.labels.data<std::int32_t>()[r], row_kinds_);
    const std::int64_t self = formula_.row_offset + r - tile.column;
    if (self >= 0 && self < tile.columns) row_kinds_[self] = none;
    if (formula_.ring == 0) return;
    std::copy_n(row_kinds_, tile.columns, column_kinds_);
    const auto ring = static_cast<std::int32_t>(formula_.ring);
    const std::int32_t* of_columns = columns_.cap.data<std::int32_t>() + tile.column;
    const std::int32_t* of_row = rows_.cap.data<std::int32_t>() + r;
    const std::int64_t count = columns_.features.dim(0), row_count = rows_.features.dim(0);
    drop_beyond_row(of_columns + supcon_place * count, tile.columns, of_row[supcon_image * row_count],
                    of_row[supcon_reach * row_count], ring, row_kinds_);
    drop_beyond_columns(of_columns + supcon_image * count, of_columns + supcon_reach * count, tile.columns,
                        of_row[supcon_place * row_count], ring, column_kinds_);
  }

  const std::int32_t* of_row() const { return row_kinds_; }
  const std::int32_t* of_columns() const { return formula_.ring == 0 ? row_kinds_ : column_kinds_; }

 private:
  void set_by_mask(const Tile& tile, std::int64_t r) {
    const std::int64_t images = formula_.mask.dim(0);
    const std::uint8_t* allowed = formula_.mask.data<std::uint8_t>() + r % images * images;
    for (std::int64_t j = 0; j < tile.columns;) {  // up to the next view
      const std::int64_t image = (tile.column + j) % images;
      const std::int64_t run = std::min(images - image, tile.columns - j);
      kinds_by_mask(allowed + image, run, row_kinds_ + j);
      j += run;
    }
  }

  const SupConRows& rows_;
  const SupConRows& columns_;
  const SupConFormula& formula_;
  std::int32_t row_kinds_[most_columns];
  std::int32_t column_kinds_[most_columns];
};

// ---- forward

void add(Sums& sums, const PairSums& part) {
  sums.positive.add(part.max_positive, part.positive_exponentials);
  sums.negative.add(part.max_negative, part.negative_exponentials);
  if (part.positives > 0)
    sums.positive_logits +=
        static_cast<double>(part.positive_logits) + part.positives * static_cast<double>(part.max_positive);
  sums.positives += part.positives;
  sums.negatives += part.negatives;
}

// shift: shared_shift()
void add_tile(const Tile& tile, float shift, PairKinds& kinds, std::vector<Sums>& sums) {
  ColumnSums of_columns;
  if (tile.both) of_columns.clear(tile.columns);
  const bool is_shared = tile.both && !std::isnan(shift);
  if (is_shared) {
    std::fill_n(of_columns.max_positive, tile.columns, shift);
    std::fill_n(of_columns.max_negative, tile.columns, shift);
  } else if (tile.both) {
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      kinds.set_row(tile, i);
      add_column_maxima(tile.logits + i * tile.columns, kinds.of_columns(), tile.columns, of_columns);
    }
  }
  for (std::int64_t i = 0; i < tile.rows; ++i) {
    const float* logits = tile.logits + i * tile.columns;
    kinds.set_row(tile, i);
    Sums& row = sums[static_cast<std::size_t>(tile.row + i)];
    if (is_shared) {
      add(row, add_to_both(logits, kinds.of_row(), tile.columns, shift, of_columns));
      continue;
    }
    add(row, sum_row(logits, kinds.of_row(), tile.columns));
    if (tile.both) add_column_sums(logits, kinds.of_columns(), tile.columns, of_columns);
  }
  for (std::int64_t j = 0; tile.both && j < tile.columns; ++j) {
    PairSums column = of_columns.column(j);
    if (is_shared) column.negatives = static_cast<std::int32_t>(tile.rows) - column.positives;
    add(sums[static_cast<std::size_t>(tile.column + j)], column);
  }
}

// The second sweep, over the positives only. There are few pairs, so it uses plain loops in double.
void add_positives(const Tile& tile, PairKinds& kinds, SupConVariant variant, const std::vector<Sums>& sums,
                   std::vector<PositiveSums>& over) {
  const auto take = [&](std::int64_t anchor, float logit) {
    const auto a = static_cast<std::size_t>(anchor);
    if (sums[a].negatives > 0) over[a].add(logit, sums[a].negative.value(), variant);
  };
  for (std::int64_t i = 0; i < tile.rows; ++i) {
    kinds.set_row(tile, i);
    for (std::int64_t j = 0; j < tile.columns; ++j) {
      const float logit = tile.logits[i * tile.columns + j];
      if (kinds.of_row()[j] == positive) take(tile.row + i, logit);
      if (tile.both && kinds.of_columns()[j] == positive) take(tile.column + j, logit);
    }
  }
}

void forward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, Output losses) {
  const std::int64_t count = rows.features.dim(0), anchors = losses.numel();
  const auto needed = [&](std::int64_t first, std::int64_t) { return first < anchors; };
  std::vector<Sums> sums(static_cast<std::size_t>(count));
  const float shift = shared_shift(rows, columns, formula);
  for_each_tile(rows, columns, formula, needed, [&](const Tile& tile) {
    PairKinds kinds(rows, columns, formula);
    add_tile(tile, shift, kinds, sums);
  });
  std::vector<PositiveSums> over(sums.size());
  if (needs_positive_sums(formula))
    for_each_tile(rows, columns, formula, needed, [&](const Tile& tile) {
      PairKinds kinds(rows, columns, formula);
      add_positives(tile, kinds, formula.variant, sums, over);
    });
  float* terms = rows.terms.data<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const Result result = i < anchors ? finish(sums[row], over[row], formula.variant, formula.denominator)
                                      : finish({}, {}, formula.variant, formula.denominator);
    terms[supcon_weight * count + i] = static_cast<float>(result.weight);
    terms[supcon_second * count + i] = static_cast<float>(result.second);
    terms[supcon_share * count + i] = static_cast<float>(result.share);
    if (i >= anchors) continue;
    losses.data<float>()[i] = static_cast<float>(result.loss);
    rows.lse.data<float>()[i] = static_cast<float>(result.lse);
    rows.positives.data<std::int32_t>()[i] = sums[row].positives;
    rows.negatives.data<std::int32_t>()[i] = sums[row].negatives;
  }
}

// ---- backward

// The terms of rows or, if the rows are not anchors, values that make both terms of G zero.
Tensor terms_of(const SupConRows& rows, SupConPull pull) {
  if (rows.terms.defined()) return rows.terms;
  const std::int64_t count = rows.features.dim(0);
  const Tensor terms = Tensor::full({supcon_term_count, count}, std::numeric_limits<double>::infinity(),
                                    DType::f32, Device::cpu);
  terms.rows(supcon_share, supcon_share + 1).fill(static_cast<double>(no_share(pull)));
  return terms;
}

void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output d_rows) {
  const SupConPull pull = pull_of(formula.variant, formula.denominator);
  const Tensor row_terms = terms_of(rows, pull), column_terms = terms_of(columns, pull);
  const float* of_rows = row_terms.data<float>();
  const float* of_columns = column_terms.data<float>();
  const std::int64_t dim = d_rows.dim(1), count = d_rows.dim(0), contrasts = columns.features.dim(0);
  const auto factor =
      static_cast<float>(upstream.data<float>()[0] * weight.data<float>()[0] / formula.temperature);
  const bool all = formula.denominator == SupConDenominator::all, square = same_rows(rows, columns, formula);
  std::fill_n(d_rows.data<float>(), d_rows.numel(), 0.0f);
  const float shift = pull == SupConPull::constant ? shared_shift(rows, columns, formula) : NAN;
  const bool is_shared = !std::isnan(shift);
  // In a square, two blocks without anchors contribute nothing to each other.
  const auto needed = [&](std::int64_t first, std::int64_t rows_of_block) {
    const float* weights = of_rows + supcon_weight * count + first;
    return !square || std::any_of(weights, weights + rows_of_block,
                                  [](float w) { return w != std::numeric_limits<float>::infinity(); });
  };
  for_each_tile(rows, columns, formula, needed, [&](const Tile& tile) {
    PairKinds kinds(rows, columns, formula);
    const float* column = of_columns + tile.column;
    ColumnTerms terms{column + supcon_weight * contrasts, column + supcon_second * contrasts,
                      column + supcon_share * contrasts};
    float exponentials[most_columns];
    if (is_shared) {
      for (std::int64_t j = 0; j < tile.columns; ++j) exponentials[j] = std::exp(shift - terms.weight[j]);
      terms.weight = exponentials;
    }
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      kinds.set_row(tile, i);
      const float* of_row = of_rows + tile.row + i;
      RowTerms row{of_row[supcon_weight * count], of_row[supcon_second * count], of_row[supcon_share * count]};
      float* logits = tile.logits + i * tile.columns;
      if (is_shared) {
        row.weight = std::exp(shift - row.weight);
        shifted_logits_to_gradients(all, logits, tile.columns, shift, kinds.of_row(), row, terms);
      } else {
        logits_to_gradients(pull, all, logits, tile.columns, kinds.of_row(), row, kinds.of_columns(), terms);
      }
    }
    const onednn::Scales added{.product = factor, .before = 1};
    onednn::sgemm({.m = tile.rows, .n = dim, .k = tile.columns}, tile.logits,
                  columns.features.data<float>() + tile.column * dim, d_rows.data<float>() + tile.row * dim,
                  added);
    if (tile.both)
      onednn::sgemm({.m = tile.columns, .n = dim, .k = tile.rows, .transpose_a = true}, tile.logits,
                    rows.features.data<float>() + tile.row * dim, d_rows.data<float>() + tile.column * dim,
                    added);
  });
}

}  // namespace

const SupConKernels supcon_cpu = {
    // Integers, and one value for each row: the plain loops are fast enough.
    [](const Tensor& labels, const Tensor& mask, int views, int positives_cap, Output cap) {
      supcon_reference.cap(labels, mask, views, positives_cap, cap);
    },
    forward,
    [](const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale, Output loss,
       Output weight) { supcon_reference.mean(losses, positives, reduction, scale, loss, weight); },
    backward,
};

}  // namespace kindred
