// SupCon's backward kernel on a GPU. Included by the .cu files that instantiate it.
#pragma once

#include <kindred/losses/supcon/cuda_backward.cuh>

namespace kindred::supcon_tiles {

// A row in the form that the gradient's formula needs: SupConRows::terms, or values that make G zero if the row
// is not an anchor.
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

// G of kernels.h for one side of a pair. `all` means that the denominator contains every positive.
template <SupConPull pull, bool all>
__device__ inline float logit_gradient(float s, Kind kind, const AnchorTerms& anchor) {
  if (kind == Kind::none) return 0;
  if (kind == Kind::negative) return cuda::fast_exp(s - anchor.weight);
  const float push = all ? cuda::fast_exp(s - anchor.weight) : 0.0f;
  if constexpr (pull == SupConPull::constant) return push - anchor.share;
  const float apart = s - anchor.second;
  if constexpr (pull == SupConPull::exponential) return push - anchor.share * cuda::fast_exp(apart);
  // Beyond e^40 the fraction is 0 to the last bit. The limit prevents overflow.
  if constexpr (pull == SupConPull::others)
    return push - anchor.share / (1.0f + cuda::fast_exp(fminf(apart, 40.0f)));
  const float smaller = 1.0f + cuda::fast_exp(-fabsf(apart));
  return push - cuda::fast_exp(-fabsf(apart) - anchor.share) / (smaller * smaller);
}

// d_rows [R, D] and parts [blocks, tile_rows, D] receive a block's part of the sum over j of (G_ij + G_ji)
// column_j. A block computes one chunk of D. If there are several chunks, each computes the logits again.
//
// A tile contributes only to the gradient of its rows, so each tile is computed twice. If it also contributed
// to its columns, that would save a quarter of the multiplications. But it would write D floats for each column
// of each tile to scratch memory and read them again, which by calculation costs most of what is gained.
template <bool general, SupConPull pull, bool all>
__global__ void __launch_bounds__(threads, supcon_areas::backward_together)
    backward_kernel(Rows rows, Rows columns, Pairs pairs, Area area, Room room, unsigned chunks, float* d_rows,
                    float* parts) {
  __shared__ ColumnMembers<3> column;
  // The blocks of one share are adjacent, so that those with one more strip come first.
  const std::int64_t share = blockIdx.x / chunks, first_element = std::int64_t{blockIdx.x % chunks} * chunk;
  Stages<backward_places> stages(rows, columns, room, static_cast<int>(first_element));
  for (Pieces piece(area, {tile_rows, room.columns}, share); piece.next();) {
    const std::int64_t first_row = first_row_of(area, piece);
    stages.begin(piece, first_row);
    const RowMembers<general> at(rows, first_row, pairs);
    AnchorTerms row_terms[rows_each];
#pragma unroll
    for (int r = 0; r < rows_each; ++r) row_terms[r] = anchor_terms<pull>(rows, first_row + row_of(r));
    Sums sum = {};
    piece.for_each_tile([&](std::int64_t first_column, std::int64_t end_column) {
      const int width = static_cast<int>(end_column - first_column);
      const ColumnMember<general, 3> fetched(columns, first_column, pairs, [&](std::int64_t anchor, int i) {
        const AnchorTerms terms = anchor_terms<pull>(columns, anchor);
        return i == 0 ? terms.weight : i == 1 ? terms.second : terms.share;
      });
      float tile[rows_each][columns_each];  // first the logits, then their derivatives
      multiply_tile(stages, width, tile);
      fetched.put(column);
      const std::uint32_t left_out = pairs_left_out(first_row, rows.count, first_column, end_column, pairs);
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const int place = column_of(c);
        const Member member = column.at<general>(place);
        const AnchorTerms terms{column.number[0][place], column.number[1][place], column.number[2][place]};
#pragma unroll
        for (int r = 0; r < rows_each; ++r) {
          const float logit = tile[r][c] * pairs.inverse_temperature;
          const Kind to_row = kind_of<general>(at.row[r], member, pairs);
          const Kind to_column = general ? kind_of<general>(member, at.row[r], pairs) : to_row;
          const float both = logit_gradient<pull, all>(logit, to_row, row_terms[r]) +
                             logit_gradient<pull, all>(logit, to_column, terms);
          tile[r][c] = (left_out & bit_of(r, c)) != 0 ? 0.0f : both;
        }
      }
      add_weighted_columns(tile, stages, width, sum);
    });
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const std::int64_t row = first_row + row_of(r);
      float* to =
          piece.begins_row_tile ? d_rows + row * rows.dim : parts + (share * tile_rows + row_of(r)) * rows.dim;
#pragma unroll
      for (int e = 0; e < chunk_each; ++e) {
        const std::int64_t element = first_element + element_of(e);
        if (row < rows.count && element < rows.dim) to[element] = sum[e / 8 * 4 + e % 4][2 * r + e / 4 % 2];
      }
    }
  }
}

template <bool general>
BackwardKernel backward_kernel_of(const SupConFormula& formula) {
  const bool all = formula.denominator == SupConDenominator::all;
  switch (pull_of(formula.variant, formula.denominator)) {
    case SupConPull::constant:
      return all ? backward_kernel<general, SupConPull::constant, true>
                 : backward_kernel<general, SupConPull::constant, false>;
    case SupConPull::exponential:
      return all ? backward_kernel<general, SupConPull::exponential, true>
                 : backward_kernel<general, SupConPull::exponential, false>;
    case SupConPull::others:
      return backward_kernel<general, SupConPull::others, false>;
    case SupConPull::product:
      break;
  }
  return backward_kernel<general, SupConPull::product, false>;
}

}  // namespace kindred::supcon_tiles
