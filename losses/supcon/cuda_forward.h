// The forward kernels of SupCon on a GPU; included by cuda.cu alone.
//
// Each thread keeps running sums for each of its 8 rows, of the columns that it sees itself; the 16 threads of
// a row come together at the end of a segment, and the segments in finish_kernel.
#pragma once

#include <kindred/losses/supcon/anchor.h>
#include <kindred/losses/supcon/cuda_pairs.h>

namespace kindred::supcon_tiles {

// What to subtract before exp: not -inf, which would make exp(-inf - -inf) of a row that has no contrast yet.
__device__ inline float subtrahend(float maximum) {
  return maximum == -infinity ? 0.0f : maximum;
}

// The log of a sum of exponentials, by its running maximum.
struct RunningLogSum {
  float maximum = -infinity;
  float sum = 0;  // of exp(x - maximum)

  __device__ void add(const RunningLogSum& other) {
    const float higher = fmaxf(maximum, other.maximum), base = subtrahend(higher);
    sum = sum * __expf(maximum - base) + other.sum * __expf(other.maximum - base);
    maximum = higher;
  }
  __device__ void add(float x) { add(RunningLogSum{x, 1}); }
  __device__ RunningLogSum from_lane(int step) const {
    return {__shfl_xor_sync(cuda::all_lanes, maximum, step), __shfl_xor_sync(cuda::all_lanes, sum, step)};
  }
};

// What is known of an anchor after some of its contrasts.
struct RunningRow {
  RunningLogSum positive;
  RunningLogSum negative;  // of all contrasts, where positives are not told apart
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

// What the denominator one_positive needs besides: supcon_anchor::PositiveSums in float.
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

// Adds up the 16 threads of each row and writes the segment's part.
template <typename Running>
__device__ void write_parts(Running (&running)[rows_each], std::int64_t count, Running* parts) {
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
#pragma unroll
    for (int step = side / 2; step > 0; step /= 2) running[r].add(running[r].from_lane(step));
    const std::int64_t row = first_row_of_block() + row_of(r);
    if (threadIdx.x % side == 0 && row < count) parts[blockIdx.y * count + row] = running[r];
  }
}

// The first `anchors` rows. `split`: positives have a sum of their own.
template <bool general, bool split>
__global__ void __launch_bounds__(threads, 2)
    forward_kernel(Rows rows, std::int64_t anchors, Rows columns, Pairs pairs, std::int64_t tiles_per_segment,
                   RunningRow* parts) {
  __shared__ ProductSlices shared;
  const std::int64_t first_row = first_row_of_block();
  RunningRow running[rows_each];
  for_each_tile(columns.count, tiles_per_segment, [&](std::int64_t first_column) {
    float logits[rows_each][columns_each];
    multiply_tile(rows, first_row, columns, first_column, shared, logits);
    Member members[columns_each];
#pragma unroll
    for (int c = 0; c < columns_each; ++c)
      members[c] = member_of<general>(columns, first_column + column_of(c));
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const Member anchor = member_of<general>(rows, first_row + row_of(r));
      RunningRow& sums = running[r];
      float highest_positive = sums.positive.maximum, highest_negative = sums.negative.maximum;
      bool is_positive[columns_each];
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const std::int64_t column = first_column + column_of(c);
        const bool is_contrast = column < columns.count && column != pairs.row_offset + anchor.row;
        const Kind kind = is_contrast ? kind_of<general>(anchor, members[c], pairs) : Kind::none;
        float& logit = logits[r][c];
        // The self-similarity must not get into the maximum: with long vectors it would dwarf all the others.
        logit = kind == Kind::none ? -infinity : logit * pairs.inverse_temperature;
        is_positive[c] = split && kind == Kind::positive;
        if (is_positive[c])
          highest_positive = fmaxf(highest_positive, logit);
        else
          highest_negative = fmaxf(highest_negative, logit);
        if (kind == Kind::positive) {
          sums.positive_logits += logit;
          ++sums.positives;
        }
        if (kind == Kind::negative) ++sums.negatives;
      }
      const float positive_base = subtrahend(highest_positive), negative_base = subtrahend(highest_negative);
      float positive = 0, negative = 0;
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const float e = __expf(logits[r][c] - (is_positive[c] ? positive_base : negative_base));
        if (is_positive[c])
          positive += e;
        else
          negative += e;
      }
      if constexpr (split) {
        sums.positive.sum = sums.positive.sum * __expf(sums.positive.maximum - positive_base) + positive;
        sums.positive.maximum = highest_positive;
      }
      sums.negative.sum = sums.negative.sum * __expf(sums.negative.maximum - negative_base) + negative;
      sums.negative.maximum = highest_negative;
    }
  });
  write_parts(running, anchors, parts);
}

__device__ inline RunningRow merge_segments(const RunningRow* parts, std::int64_t segments, std::int64_t count,
                                            std::int64_t row) {
  RunningRow whole = parts[row];
  for (std::int64_t segment = 1; segment < segments; ++segment) whole.add(parts[segment * count + row]);
  return whole;
}

// One thread a row.
__global__ void log_negative_kernel(const RunningRow* parts, std::int64_t segments, std::int64_t count,
                                    float* log_negative) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= count) return;
  const RunningLogSum negative = merge_segments(parts, segments, count, row).negative;
  log_negative[row] = negative.maximum + std::log(negative.sum);
}

__device__ inline float softplus(float x) {
  return fmaxf(x, 0.0f) + log1pf(__expf(-fabsf(x)));
}

// The second sweep, when the sum over the negatives is known.
template <bool general>
__global__ void __launch_bounds__(threads, 2)
    positives_kernel(Rows rows, std::int64_t anchors, Rows columns, Pairs pairs, std::int64_t tiles_per_segment,
                     const float* log_negative, bool out, RunningPositives* parts) {
  __shared__ ProductSlices shared;
  const std::int64_t first_row = first_row_of_block();
  RunningPositives running[rows_each];
  for_each_tile(columns.count, tiles_per_segment, [&](std::int64_t first_column) {
    float logits[rows_each][columns_each];
    multiply_tile(rows, first_row, columns, first_column, shared, logits);
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const Member anchor = member_of<general>(rows, first_row + row_of(r));
      const float other = log_negative[std::min(anchor.row, anchors - 1)];
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const std::int64_t column = first_column + column_of(c);
        if (column >= columns.count || column == pairs.row_offset + anchor.row || other == -infinity) continue;
        if (kind_of<general>(anchor, member_of<general>(columns, column), pairs) != Kind::positive) continue;
        const float apart = logits[r][c] * pairs.inverse_temperature - other;
        const float log_one = -softplus(-apart), log_rest = -softplus(apart);
        running[r].log_t += log_one;
        running[r].first.add(out ? log_rest : log_one);
        if (!out) running[r].second.add(log_one + log_rest);
      }
    }
  });
  write_parts(running, anchors, parts);
}

__device__ inline supcon_anchor::LogSum exact(const RunningLogSum& sum) {
  supcon_anchor::LogSum result;
  result.add(static_cast<double>(sum.maximum), static_cast<double>(sum.sum));
  return result;
}

// Where finish_kernel writes.
struct ForwardResults {
  float* terms;  // [supcon_term_count, count]
  float* lse;    // [anchors], and so on
  std::int32_t *positives, *negatives;
  float* losses;
  std::int64_t count, anchors;
};

// One thread a row. positive_parts is null without a second sweep.
__global__ void finish_kernel(const RunningRow* parts, const RunningPositives* positive_parts,
                              std::int64_t segments, SupConVariant variant, SupConDenominator denominator,
                              ForwardResults to) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= to.count) return;
  supcon_anchor::Result result = supcon_anchor::finish({}, {}, variant, denominator);
  if (row < to.anchors) {
    const RunningRow whole = merge_segments(parts, segments, to.anchors, row);
    supcon_anchor::PositiveSums over;
    for (std::int64_t segment = 0; positive_parts != nullptr && segment < segments; ++segment) {
      const RunningPositives& part = positive_parts[segment * to.anchors + row];
      const supcon_anchor::LogSum first = exact(part.first), second = exact(part.second);
      over.log_t += static_cast<double>(part.log_t);
      over.first.add(first.maximum, first.sum);
      over.second.add(second.maximum, second.sum);
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
