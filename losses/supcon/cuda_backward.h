// The backward kernel of SupCon on a GPU; included by cuda.cu alone.
#pragma once

#include <kindred/losses/supcon/cuda_sweep.h>

namespace kindred::supcon_tiles {

// A row as the gradient's formula wants it: SupConRows::terms, or what makes G vanish for one that is no
// anchor.
struct AnchorTerms {
  float weight, second, share;
};

template <SupConPull pull>
__device__ inline AnchorTerms anchor_terms(const Rows& rows, std::int64_t row) {
  row = std::min(row, rows.count - 1);
  if (rows.terms == nullptr) return {infinity, infinity, no_share(pull)};
  return {rows.terms[supcon_weight * rows.count + row], rows.terms[supcon_second * rows.count + row],
          rows.terms[supcon_share * rows.count + row]};
}

// G of kernels.h for one side of a pair. `all`: the denominator holds every positive.
template <SupConPull pull, bool all>
__device__ inline float logit_gradient(float s, Kind kind, const AnchorTerms& anchor) {
  if (kind == Kind::none) return 0;
  if (kind == Kind::negative) return __expf(s - anchor.weight);
  const float push = all ? __expf(s - anchor.weight) : 0.0f;
  if constexpr (pull == SupConPull::constant) return push - anchor.share;
  const float apart = s - anchor.second;
  if constexpr (pull == SupConPull::exponential) return push - anchor.share * __expf(apart);
  // Beyond e^40 the fraction is 0 to the last bit, and nothing overflows.
  if constexpr (pull == SupConPull::others) return push - anchor.share / (1.0f + __expf(fminf(apart, 40.0f)));
  const float smaller = 1.0f + __expf(-fabsf(apart));
  return push - __expf(-fabsf(apart) - anchor.share) / (smaller * smaller);
}

// sums [segments, R, D]: each segment's part of the sum over j of (G_ij + G_ji) column_j. A block sums one
// chunk of D; with more than one, each makes the logits anew.
//
// A tile serves its rows alone, so each is made twice. To serve its columns too would save a quarter of the
// multiplications, and cost D floats for each column of each tile, written to scratch memory and read again: by
// paper most of the gain.
template <bool general, SupConPull pull, bool all>
__global__ void __launch_bounds__(threads, 2)
    backward_kernel(Rows rows, Rows columns, Pairs pairs, Area area, float* sums) {
  // A tile goes through them in turn, and both do not fit.
  __shared__ union {
    ProductSlices products;
    SumSlices sums;
  } shared;
  const std::int64_t first_row = first_row_of_block(area), first_element = std::int64_t{blockIdx.z} * chunk;
  float sum[rows_each][chunk_each] = {};
  for_each_tile(area, false, [&](std::int64_t first_column) {
    float tile[rows_each][columns_each];  // the logits, then their derivatives
    multiply_tile(rows, first_row, columns, first_column, shared.products, tile);
    AnchorTerms column_terms[columns_each];
    Member members[columns_each];
#pragma unroll
    for (int c = 0; c < columns_each; ++c) {
      column_terms[c] = anchor_terms<pull>(columns, first_column + column_of(c));
      members[c] = member_of<general>(columns, first_column + column_of(c), pairs);
    }
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const std::int64_t self = pairs.row_offset + first_row + row_of(r);
      const AnchorTerms row_terms = anchor_terms<pull>(rows, first_row + row_of(r));
      const Member row = member_of<general>(rows, first_row + row_of(r), pairs);
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const std::int64_t column = first_column + column_of(c);
        const float logit = tile[r][c] * pairs.inverse_temperature;
        const Kind to_row = kind_of<general>(row, members[c], pairs);
        const Kind to_column = general ? kind_of<general>(members[c], row, pairs) : to_row;
        const float both = logit_gradient<pull, all>(logit, to_row, row_terms) +
                           logit_gradient<pull, all>(logit, to_column, column_terms[c]);
        tile[r][c] = column < columns.count && column != self ? both : 0.0f;
      }
    }
    __syncthreads();
    store_weights(tile, shared.sums);
    add_weighted_columns(columns, first_column, first_element, shared.sums, sum);
  });
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
    const std::int64_t row = first_row + row_of(r);
    float* to = sums + (blockIdx.y * rows.count + row) * rows.dim;
#pragma unroll
    for (int e = 0; e < chunk_each; ++e) {
      const std::int64_t element = first_element + column_of(e);
      if (row < rows.count && element < rows.dim) to[element] = sum[r][e];
    }
  }
}

// One thread an element. `sums` and `d_rows` may be the same.
__global__ void add_segments_kernel(const float* sums, std::int64_t segments, std::int64_t count,
                                    const float* upstream, const float* weight, float inverse_temperature,
                                    float* d_rows) {
  const std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i >= count) return;
  float sum = sums[i];
  for (std::int64_t segment = 1; segment < segments; ++segment) sum += sums[segment * count + i];
  d_rows[i] = *upstream * *weight * inverse_temperature * sum;
}

}  // namespace kindred::supcon_tiles
