// The loops of SupCon's cpu kernels over one row of a tile of logits.
#pragma once

#include <kindred/losses/supcon/kernels.h>

namespace kindred::supcon_rows {

constexpr std::int64_t most_columns = 512;  // in a tile

// What a row is to a column, for each column of the tile.
enum Kind : std::int32_t { none = 0, positive = 1, negative = 2 };

// kinds[j] is positive if labels[j] == label, and negative otherwise.
void kinds_by_label(const std::int32_t* labels, std::int64_t count, std::int32_t label, std::int32_t* kinds);
// The same, with positive if allowed[j] is not 0.
void kinds_by_mask(const std::uint8_t* allowed, std::int64_t count, std::int32_t* kinds);

// Set to none the positives that a cap leaves out. In drop_beyond_row the row has the cap, with the given image
// and reach, and `places` are those of the columns. In drop_beyond_columns each column has an image and a reach
// of its own, and the row is at `place`.
void drop_beyond_row(const std::int32_t* places, std::int64_t count, std::int32_t image, std::int32_t reach,
                     std::int32_t ring, std::int32_t* kinds);
void drop_beyond_columns(const std::int32_t* images, const std::int32_t* reaches, std::int64_t count,
                         std::int32_t place, std::int32_t ring, std::int32_t* kinds);

// Sums over some pairs. The exponentials are sums of exp(logit - the maximum of its kind), and positive_logits
// is the sum of logit - max_positive. So sums of many equal logits are exact.
struct PairSums {
  float max_positive, max_negative;
  float positive_exponentials, negative_exponentials, positive_logits;
  std::int32_t positives, negatives;
};
PairSums sum_row(const float* logits, const std::int32_t* kinds, std::int64_t count);

// The same for every column of a tile, accumulated row by row: first the maxima of all rows, then the sums.
struct ColumnSums {
  float max_positive[most_columns], max_negative[most_columns];
  float positive_exponentials[most_columns], negative_exponentials[most_columns];
  float positive_logits[most_columns];
  std::int32_t positives[most_columns], negatives[most_columns];

  void clear(std::int64_t count);
  PairSums column(std::int64_t j) const;
};
void add_column_maxima(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums);
void add_column_sums(const float* logits, const std::int32_t* kinds, std::int64_t count, ColumnSums& sums);

// The sum of the squares of `count` floats.
float squared_length(const float* values, std::int64_t count);
// sum_row and add_column_sums at once, with `shift` in the place of every maximum, where each pair is positive or negative, and
// the same for both sides. Leaves sums.negatives as it is.
PairSums add_to_both(const float* logits, const std::int32_t* kinds, std::int64_t count, float shift, ColumnSums& sums);

// SupConRows::terms of one row, and of the columns of a tile.
struct RowTerms {
  float weight, second, share;
};
struct ColumnTerms {
  const float *weight, *second, *share;
};

// logits_to_gradients with one exponential, exp(logit - shift), for SupConPull::constant and kinds that are the same for both
// sides. The weights of row and columns are exp(shift - weight) here.
void shifted_logits_to_gradients(bool all, float* logits, std::int64_t count, float shift, const std::int32_t* kinds,
                                 const RowTerms& row, const ColumnTerms& columns);

// Replaces the logits s_ij by G_ij + G_ji, in place. `row_kinds` says what column j is to the row,
// `column_kinds` what the row is to column j. `all` means that the denominator contains every positive.
void logits_to_gradients(SupConPull pull, bool all, float* logits, std::int64_t count,
                         const std::int32_t* row_kinds, const RowTerms& row, const std::int32_t* column_kinds,
                         const ColumnTerms& columns);

}  // namespace kindred::supcon_rows
