// The forward kernels of SupCon on a GPU. Only cuda.cu includes this header.
//
// Each thread keeps running sums for its 2 rows over the columns that it sees itself. The 4 threads of a row
// are combined at the end of a tile of rows. If a tile also contributes to its columns, the thread sums over
// its 2 rows for each of its 16 columns, and the 64 threads of a column are combined at the end of the tile:
// first the 8 of a warp, which agree on what to subtract before exp, then the warps.
#pragma once

#include <kindred/losses/supcon/anchor.h>
#include <kindred/losses/supcon/cuda_sweep.cuh>

namespace kindred::supcon_tiles {

// What to subtract before exp. It is never -inf: a row without a contrast so far would give exp(-inf - -inf),
// which is NaN.
__device__ inline float subtrahend(float maximum) {
  return maximum == -infinity ? 0.0f : maximum;
}

// The logarithm of a sum of exponentials, kept with its running maximum.
struct RunningLogSum {
  float maximum = -infinity;
  float sum = 0;  // of exp(x - maximum)

  __device__ void add(const RunningLogSum& other) {
    // Empty sums are common, especially sums of positives. A sum with a NaN is not empty: the NaN is in the
    // sum, although the maximum ignores it.
    if (other.sum == 0) return;
    if (sum == 0) {
      *this = other;
      return;
    }
    const float higher = fmaxf(maximum, other.maximum), base = subtrahend(higher);
    sum = sum * cuda::fast_exp(maximum - base) + other.sum * cuda::fast_exp(other.maximum - base);
    maximum = higher;
  }
  __device__ void add(float x) { add(RunningLogSum{x, 1}); }
  __device__ RunningLogSum from_lane(int step) const {
    return {__shfl_xor_sync(cuda::all_lanes, maximum, step), __shfl_xor_sync(cuda::all_lanes, sum, step)};
  }
};

// The sums of an anchor over some of its contrasts.
struct RunningRow {
  RunningLogSum positive;
  RunningLogSum negative;  // over all contrasts, if positives are not separated
  float positive_logits = 0;
  std::int32_t positives = 0, negatives = 0;

  __device__ void add(const RunningRow& other) {
    positive.add(other.positive);
    negative.add(other.negative);
    positive_logits += other.positive_logits;
    positives += other.positives;
    negatives += other.negatives;
  }
  __device__ RunningRow from_lane(int step) const {
    return {positive.from_lane(step), negative.from_lane(step),
            __shfl_xor_sync(cuda::all_lanes, positive_logits, step),
            __shfl_xor_sync(cuda::all_lanes, positives, step),
            __shfl_xor_sync(cuda::all_lanes, negatives, step)};
  }
};

// What the denominator one_positive needs in addition: supcon_anchor::PositiveSums in float.
struct RunningPositives {
  float log_t = 0;
  RunningLogSum first, second;

  __device__ void add(const RunningPositives& other) {
    log_t += other.log_t;
    first.add(other.first);
    second.add(other.second);
  }
  __device__ RunningPositives from_lane(int step) const {
    return {__shfl_xor_sync(cuda::all_lanes, log_t, step), first.from_lane(step), second.from_lane(step)};
  }
};

// Adds N of an anchor's contrasts; pair(i) is the bit of the i-th one. With `split`, positives have their own
// sum.
template <bool split, int N, typename Pair>
__device__ inline void add_contrasts(const float (&logits)[N], const PairKinds& kinds, Pair&& pair,
                                     RunningRow& sums) {
  float highest_positive = sums.positive.maximum, highest_negative = sums.negative.maximum;
  const std::uint32_t in_negative_sum = split ? kinds.negative : kinds.negative | kinds.positive;
  std::uint32_t all = 0;
#pragma unroll
  for (int i = 0; i < N; ++i) {
    all |= pair(i);
    if ((kinds.positive & pair(i)) != 0) {
      sums.positive_logits += logits[i];
      if (split) highest_positive = fmaxf(highest_positive, logits[i]);
    }
    // The self-similarity must not enter the maximum: with long vectors it would make all other terms
    // underflow.
    if ((in_negative_sum & pair(i)) != 0) highest_negative = fmaxf(highest_negative, logits[i]);
  }
  sums.positives += __popc(kinds.positive & all);
  sums.negatives += __popc(kinds.negative & all);
  RunningLogSum positive{highest_positive, 0}, negative{highest_negative, 0};
  const float positive_base = subtrahend(highest_positive), negative_base = subtrahend(highest_negative);
#pragma unroll
  for (int i = 0; i < N; ++i) {
    const bool apart = split && (kinds.positive & pair(i)) != 0;
    const float e = cuda::fast_exp(logits[i] - (apart ? positive_base : negative_base));
    if (apart) positive.sum += e;
    if ((in_negative_sum & pair(i)) != 0) negative.sum += e;
  }
  if (split) sums.positive.add(positive);
  sums.negative.add(negative);
}

// What the rows of a warp add to a column, in each lane for its own two rows. In all lanes with this column the
// same numbers are subtracted from the logits, so adding two lanes up takes no exponentials.
template <bool split>
struct ColumnSums {
  float highest_positive = -infinity, highest_negative = -infinity;  // of the warp
  float positive = 0, negative = 0, positive_logits = 0;
  std::int32_t positives = 0, negatives = 0;

  __device__ void add(const ColumnSums& other) {
    if (split) positive += other.positive;
    negative += other.negative;
    positive_logits += other.positive_logits;
    positives += other.positives;
    negatives += other.negatives;
  }
  __device__ ColumnSums from_lane(int step) const {
    // A warp has 16 rows, so both numbers fit into one.
    const std::int32_t both = __shfl_xor_sync(cuda::all_lanes, positives + (negatives << 16), step);
    return {highest_positive,
            highest_negative,
            split ? __shfl_xor_sync(cuda::all_lanes, positive, step) : 0.0f,
            __shfl_xor_sync(cuda::all_lanes, negative, step),
            __shfl_xor_sync(cuda::all_lanes, positive_logits, step),
            both & 0xffff,
            both >> 16};
  }
  __device__ operator RunningRow() const {
    return {{highest_positive, positive}, {highest_negative, negative}, positive_logits, positives, negatives};
  }
};

// This thread's sums for its column c. All lanes must call it.
template <bool split>
__device__ inline ColumnSums<split> column_sums(const float (&logits)[rows_each][columns_each],
                                                const PairKinds& kinds, int c) {
  ColumnSums<split> sums;
  const std::uint32_t in_negative_sum = split ? kinds.negative : kinds.negative | kinds.positive;
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
    if (split && (kinds.positive & bit_of(r, c)) != 0)
      sums.highest_positive = fmaxf(sums.highest_positive, logits[r][c]);
    if ((in_negative_sum & bit_of(r, c)) != 0)
      sums.highest_negative = fmaxf(sums.highest_negative, logits[r][c]);
  }
#pragma unroll
  for (int step = 4; step < cuda::warp; step *= 2) {
    if (split)
      sums.highest_positive =
          fmaxf(sums.highest_positive, __shfl_xor_sync(cuda::all_lanes, sums.highest_positive, step));
    sums.highest_negative =
        fmaxf(sums.highest_negative, __shfl_xor_sync(cuda::all_lanes, sums.highest_negative, step));
  }
  const float positive_base = subtrahend(sums.highest_positive),
              negative_base = subtrahend(sums.highest_negative);
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
    const bool is_positive = (kinds.positive & bit_of(r, c)) != 0, apart = split && is_positive;
    const float e = cuda::fast_exp(logits[r][c] - (apart ? positive_base : negative_base));
    if (apart) sums.positive += e;
    if ((in_negative_sum & bit_of(r, c)) != 0) sums.negative += e;
    if (is_positive) {
      sums.positive_logits += logits[r][c];
      ++sums.positives;
    }
    if ((kinds.negative & bit_of(r, c)) != 0) ++sums.negatives;
  }
  return sums;
}

__device__ inline float no_numbers(std::int64_t, int) {
  return 0;
}

constexpr int forward_places = 1;  // slices of columns
static_assert(sizeof(WarpParts<RunningRow>) <= sizeof(SplitSlice));

// The rows of the area are its anchors. If parts.columns is set, its columns are anchors too.
template <bool general, bool split>
__global__ void __launch_bounds__(threads, 2)
    forward_kernel(Rows rows, Rows columns, Pairs pairs, Area area, Room room, Parts<RunningRow> parts) {
  __shared__ ColumnMembers<0> column;
  const std::int64_t end = area.first_row + area.rows;
  Stages<forward_places> stages(rows, columns, room, 0);
  for (Pieces piece(area, tiling(), blockIdx.x); piece.next();) {
    const std::int64_t first_row = first_row_of(area, piece);
    stages.begin(piece, first_row);
    const RowMembers<general> at(rows, first_row, pairs);
    RunningRow running[rows_each];
    piece.for_each_tile([&](std::int64_t first_column, std::int64_t end_column) {
      const int width = static_cast<int>(end_column - first_column);
      const ColumnMember<general, 0> fetched(columns, first_column, pairs, no_numbers);
      float logits[rows_each][columns_each];
      multiply_tile(stages, width, logits);
      fetched.put(column);
      const std::uint32_t left_out = pairs_left_out(first_row, end, first_column, end_column, pairs);
      const PairKinds kinds = kinds_of(at, column, left_out, pairs);
#pragma unroll
      for (int r = 0; r < rows_each; ++r) {
#pragma unroll
        for (int c = 0; c < columns_each; ++c) logits[r][c] *= pairs.inverse_temperature;
        add_contrasts<split>(
            logits[r], kinds, [r](int c) { return bit_of(r, c); }, running[r]);
      }
      if (parts.columns == nullptr || first_column < first_row + tile_rows) return;
      const PairKinds to_columns = general ? kinds_of<general, false>(at, column, left_out, pairs) : kinds;
      auto& of_warps = *static_cast<WarpParts<RunningRow>*>(stages.free_bytes());
      write_column_parts(area, piece, first_column, width, of_warps, parts.columns,
                         [&](int c) { return column_sums<split>(logits, to_columns, c); });
    });
    write_row_parts(running, area, piece, parts);
  }
}

// One thread per row.
__global__ void log_negative_kernel(const RunningRow* sums, std::int64_t count, float* log_negative) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row < count) log_negative[row] = sums[row].negative.maximum + std::log(sums[row].negative.sum);
}

__device__ inline float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(cuda::fast_exp(-fabsf(x)));
}

// The second sweep, which runs when the logarithm of the sum over each anchor's negatives is known.
template <bool general>
__global__ void __launch_bounds__(threads, 2)
    positives_kernel(Rows rows, Rows columns, Pairs pairs, Area area, Room room, const float* log_negative,
                     bool out, Parts<RunningPositives> parts) {
  __shared__ ColumnMembers<1> column;
  const std::int64_t end = area.first_row + area.rows;
  Stages<forward_places> stages(rows, columns, room, 0);
  for (Pieces piece(area, tiling(), blockIdx.x); piece.next();) {
    const std::int64_t first_row = first_row_of(area, piece);
    stages.begin(piece, first_row);
    const RowMembers<general> at(rows, first_row, pairs);
    float row_negative[rows_each];
#pragma unroll
    for (int r = 0; r < rows_each; ++r)
      row_negative[r] = log_negative[std::min(first_row + row_of(r), end - 1)];
    RunningPositives running[rows_each];
    piece.for_each_tile([&](std::int64_t first_column, std::int64_t end_column) {
      const int width = static_cast<int>(end_column - first_column);
      // The columns are anchors too only in a triangle.
      const ColumnMember<general, 1> fetched(columns, first_column, pairs, [&](std::int64_t anchor, int) {
        return parts.columns != nullptr ? log_negative[std::min(anchor, columns.count - 1)] : 0.0f;
      });
      float products[rows_each][columns_each];
      multiply_tile(stages, width, products);
      fetched.put(column);
      const std::uint32_t left_out = pairs_left_out(first_row, end, first_column, end_column, pairs);
      const auto add = [&](RunningPositives& sums, float product, float negative) {
        if (negative == -infinity) return;
        const float apart = product * pairs.inverse_temperature - negative;
        const float log_one = -softplus(-apart), log_rest = -softplus(apart);
        sums.log_t += log_one;
        sums.first.add(out ? log_rest : log_one);
        if (!out) sums.second.add(log_one + log_rest);
      };
      const std::uint32_t positive = kinds_of(at, column, left_out, pairs).positive;
#pragma unroll
      for (int c = 0; c < columns_each; ++c)
#pragma unroll
        for (int r = 0; r < rows_each; ++r)
          if ((positive & bit_of(r, c)) != 0) add(running[r], products[r][c], row_negative[r]);
      if (parts.columns == nullptr || first_column < first_row + tile_rows) return;
      const std::uint32_t to_columns =
          general ? kinds_of<general, false>(at, column, left_out, pairs).positive : positive;
      auto& of_warps = *static_cast<WarpParts<RunningPositives>*>(stages.free_bytes());
      write_column_parts(area, piece, first_column, width, of_warps, parts.columns, [&](int c) {
        RunningPositives sums;
#pragma unroll
        for (int r = 0; r < rows_each; ++r)
          if ((to_columns & bit_of(r, c)) != 0) add(sums, products[r][c], column.number[0][column_of(c)]);
        return sums;
      });
    });
    write_row_parts(running, area, piece, parts);
  }
}

__device__ inline supcon_anchor::LogSum exact(const RunningLogSum& sum) {
  supcon_anchor::LogSum result;
  result.add(static_cast<double>(sum.maximum), static_cast<double>(sum.sum));
  return result;
}

// The outputs of finish_kernel.
struct ForwardResults {
  float* terms;  // [supcon_term_count, count]
  float* lse;    // [anchors], as are those below
  std::int32_t *positives, *negatives;
  float* losses;
  std::int64_t count, anchors;
};

// One thread per row. positive_sums is null if there was no second sweep.
__global__ void finish_kernel(const RunningRow* sums, const RunningPositives* positive_sums,
                              SupConVariant variant, SupConDenominator denominator, ForwardResults to) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= to.count) return;
  supcon_anchor::Result result = supcon_anchor::finish({}, {}, variant, denominator);
  if (row < to.anchors) {
    const RunningRow& whole = sums[row];
    supcon_anchor::PositiveSums over;
    if (positive_sums != nullptr) {
      over.log_t = static_cast<double>(positive_sums[row].log_t);
      over.first = exact(positive_sums[row].first);
      over.second = exact(positive_sums[row].second);
    }
    result =
        supcon_anchor::finish({exact(whole.positive), exact(whole.negative),
                               static_cast<double>(whole.positive_logits), whole.positives, whole.negatives},
                              over, variant, denominator);
    to.lse[row] = static_cast<float>(result.lse);
    to.positives[row] = whole.positives;
    to.negatives[row] = whole.negatives;
    to.losses[row] = static_cast<float>(result.loss);
  }
  to.terms[supcon_weight * to.count + row] = static_cast<float>(result.weight);
  to.terms[supcon_second * to.count + row] = static_cast<float>(result.second);
  to.terms[supcon_share * to.count + row] = static_cast<float>(result.share);
}

}  // namespace kindred::supcon_tiles
