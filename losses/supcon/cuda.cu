// Tiles of logits in the registers of a block; none is ever written to memory.
//
// A block owns some rows and walks over the columns, tile by tile
// (cuda_tiles.h). Forward keeps a running log-sum-exp. Backward computes the
// tile of logits again, which is cheaper than to store it, makes G_ij + G_ji of
// it, and adds the columns so weighted to its rows' gradients.
//
// Few rows make too few blocks to fill a GPU. Then the columns are split into
// segments, each walked by a block of its own that leaves its part in scratch
// memory, and a second kernel puts the parts together in the order of the
// segments. No sum depends on timing.
#include <kindred/losses/supcon/cuda_tiles.h>
#include <kindred/losses/supcon/kernels.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using namespace supcon_tiles;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t most_scratch = std::int64_t{48} << 20;  // bytes

Rows as_rows(const SupConRows& rows) {
  const bool anchors = rows.lse.defined();
  return {rows.features.data<float>(),
          rows.labels.data<std::int32_t>(),
          anchors ? rows.lse.data<float>() : nullptr,
          anchors ? rows.positives.data<std::int32_t>() : nullptr,
          rows.features.dim(0),
          rows.features.dim(1)};
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// ---- segments of the columns

struct Segments {
  std::int64_t count;
  std::int64_t tiles;  // of columns in each; the last may have fewer
};

// The number of segments that should take the least time: that of the longest
// block times the number of rounds in which the GPU takes the blocks. `blocks`
// is their number without segments, and each row of each segment needs
// `bytes_per_row` of scratch.
Segments split_columns(std::int64_t columns, std::int64_t blocks, std::int64_t rows,
                       std::int64_t bytes_per_row) {
  constexpr std::int64_t at_once = 2 * 132;  // blocks on an H200; on others the split is merely not the best
  const std::int64_t tiles = divide_up(columns, tile_columns);
  const std::int64_t most = std::clamp<std::int64_t>(most_scratch / (rows * bytes_per_row), 1, 4 * at_once);
  Segments best{1, tiles};
  for (std::int64_t count = 2; count <= std::min(most, tiles); ++count) {
    const std::int64_t each = divide_up(tiles, count);
    if (divide_up(blocks * count, at_once) * each < divide_up(blocks * best.count, at_once) * best.tiles)
      best = {divide_up(tiles, each), each};
  }
  return best;
}

// Calls body(first_column) for the tiles of the segment blockIdx.y.
template <typename Body>
__device__ void for_each_tile(std::int64_t columns, std::int64_t tiles_per_segment, Body&& body) {
  const std::int64_t begin = std::int64_t{blockIdx.y} * tiles_per_segment * tile_columns;
  const std::int64_t end = std::min(begin + tiles_per_segment * tile_columns, columns);
  for (std::int64_t first = begin; first < end; first += tile_columns) body(first);
}

__device__ std::int64_t first_row_of_block() {
  return std::int64_t{blockIdx.x} * tile_rows;
}

// ---- forward

// What is known of an anchor after some of its contrasts.
struct alignas(16) RunningRow {
  float maximum = -infinity;
  float exponentials = 0;  // sum of exp(s - maximum)
  float positive_logits = 0;
  std::int32_t positives = 0;
};

// What to subtract before exp: not -inf, which would make exp(-inf - -inf) of a
// row that has no contrast yet.
__device__ float subtrahend(float maximum) {
  return maximum == -infinity ? 0.0f : maximum;
}

__device__ RunningRow merge(const RunningRow& a, const RunningRow& b) {
  const float maximum = fmaxf(a.maximum, b.maximum), base = subtrahend(maximum);
  return {maximum, a.exponentials * __expf(a.maximum - base) + b.exponentials * __expf(b.maximum - base),
          a.positive_logits + b.positive_logits, a.positives + b.positives};
}

// Each thread keeps a running row for each of its 8 rows, of the columns that
// it sees itself; the 16 threads of a row come together at the end.
__global__ void __launch_bounds__(threads, 2)
    forward_kernel(Rows rows, Rows columns, std::int64_t row_offset, float inverse_temperature,
                   std::int64_t tiles_per_segment, RunningRow* parts) {
  __shared__ ProductSlices shared;
  const std::int64_t first_row = first_row_of_block();
  RunningRow running[rows_each];
  for_each_tile(columns.count, tiles_per_segment, [&](std::int64_t first_column) {
    float logits[rows_each][columns_each];
    multiply_tile(rows, first_row, columns, first_column, shared, logits);
    std::int32_t column_labels[columns_each];
#pragma unroll
    for (int c = 0; c < columns_each; ++c)
      column_labels[c] = columns.labels[std::min(first_column + column_of(c), columns.count - 1)];
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const std::int64_t row = std::min(first_row + row_of(r), rows.count - 1);
      const std::int32_t label = rows.labels[row];
      float highest = running[r].maximum;
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const std::int64_t column = first_column + column_of(c);
        const bool is_contrast = column < columns.count && column != row_offset + row;
        float& logit = logits[r][c];
        // The self-similarity must not get into the maximum: with long
        // vectors it would dwarf all the others.
        logit = is_contrast ? logit * inverse_temperature : -infinity;
        highest = fmaxf(highest, logit);
        if (is_contrast && column_labels[c] == label) {
          running[r].positive_logits += logit;
          ++running[r].positives;
        }
      }
      const float base = subtrahend(highest);
      float exponentials = 0;
#pragma unroll
      for (int c = 0; c < columns_each; ++c) exponentials += __expf(logits[r][c] - base);
      running[r].exponentials = running[r].exponentials * __expf(running[r].maximum - base) + exponentials;
      running[r].maximum = highest;
    }
  });
#pragma unroll
  for (int r = 0; r < rows_each; ++r) {
#pragma unroll
    for (int step = side / 2; step > 0; step /= 2) {
      const RunningRow& mine = running[r];
      running[r] = merge(mine, {__shfl_xor_sync(cuda::all_lanes, mine.maximum, step),
                                __shfl_xor_sync(cuda::all_lanes, mine.exponentials, step),
                                __shfl_xor_sync(cuda::all_lanes, mine.positive_logits, step),
                                __shfl_xor_sync(cuda::all_lanes, mine.positives, step)});
    }
    const std::int64_t row = first_row + row_of(r);
    if (threadIdx.x % side == 0 && row < rows.count) parts[blockIdx.y * rows.count + row] = running[r];
  }
}

// One thread a row.
__global__ void merge_segments_kernel(const RunningRow* parts, std::int64_t segments, std::int64_t count,
                                      float* lse, std::int32_t* positives, float* losses) {
  const std::int64_t row = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= count) return;
  RunningRow whole = parts[row];
  for (std::int64_t segment = 1; segment < segments; ++segment)
    whole = merge(whole, parts[segment * count + row]);
  const double log_sum = whole.maximum + std::log(static_cast<double>(whole.exponentials));
  lse[row] = static_cast<float>(log_sum);
  positives[row] = whole.positives;
  losses[row] = whole.positives > 0
                    ? static_cast<float>(log_sum - static_cast<double>(whole.positive_logits) / whole.positives)
                    : 0.0f;
}

void forward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
             const Tensor& losses) {
  const std::int64_t count = losses.numel(), contrasts = columns.features.dim(0);
  if (count == 0) return;
  const std::int64_t row_blocks = divide_up(count, tile_rows);
  const Segments segments = split_columns(contrasts, row_blocks, count, sizeof(RunningRow));
  const Tensor scratch =
      Tensor::empty({segments.count, count, std::int64_t{sizeof(RunningRow)}}, DType::u8, Device::cuda);
  auto* parts = static_cast<RunningRow*>(scratch.raw());
  cuda::launch(forward_kernel, dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(segments.count)),
               threads, as_rows(rows), as_rows(columns), row_offset, static_cast<float>(1 / temperature),
               segments.tiles, parts);
  cuda::launch(merge_segments_kernel, cuda::blocks_for(count, threads), threads, parts, segments.count, count,
               rows.lse.data<float>(), rows.positives.data<std::int32_t>(), losses.data<float>());
}

// ---- the mean

// One block. Sums of doubles in each thread, in the order of the rows.
constexpr int mean_threads = 512;

__global__ void mean_kernel(const float* losses, const std::int32_t* positives, std::int64_t count,
                            bool all_anchors, double scale, float* loss, float* weight) {
  double sum = 0;
  std::int64_t anchors = 0;
#pragma unroll 8
  for (std::int64_t i = threadIdx.x; i < count; i += mean_threads) {
    sum += static_cast<double>(losses[i]);
    anchors += all_anchors || positives[i] > 0 ? 1 : 0;
  }
  __shared__ double sums[mean_threads];
  __shared__ std::int64_t numbers[mean_threads];
  sums[threadIdx.x] = sum;
  numbers[threadIdx.x] = anchors;
  for (int half = mean_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) >= half) continue;
    sums[threadIdx.x] += sums[threadIdx.x + half];
    numbers[threadIdx.x] += numbers[threadIdx.x + half];
  }
  if (threadIdx.x > 0) return;
  const double per_anchor = numbers[0] > 0 ? scale / static_cast<double>(numbers[0]) : 0.0;
  *loss = static_cast<float>(per_anchor * sums[0]);
  *weight = static_cast<float>(per_anchor);
}

void mean(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
          const Tensor& loss, const Tensor& weight) {
  cuda::launch(mean_kernel, dim3(1), mean_threads, losses.data<float>(), positives.data<std::int32_t>(),
               losses.numel(), reduction == SupConReduction::all_anchors, scale, loss.data<float>(),
               weight.data<float>());
}

// ---- backward

// A row as the gradient's formula wants it. One that is no anchor, or has no
// positive, gets the values that make both terms of G vanish: exp(s - inf) = 0,
// and 0.
struct AnchorTerms {
  std::int32_t label;
  float lse;
  float share;  // 1/|P(i)|
};

__device__ AnchorTerms anchor_terms(const Rows& rows, std::int64_t row) {
  row = std::min(row, rows.count - 1);
  const std::int32_t positives = rows.positives != nullptr ? rows.positives[row] : 0;
  if (positives == 0) return {rows.labels[row], infinity, 0};
  return {rows.labels[row], rows.lse[row], 1.0f / static_cast<float>(positives)};
}

// sums [segments, R, D]: each segment's part of the sum over j of (G_ij + G_ji)
// column_j. A block sums one chunk of D; with more than one, each makes the
// logits anew.
__global__ void __launch_bounds__(threads, 2)
    backward_kernel(Rows rows, Rows columns, std::int64_t row_offset, float inverse_temperature,
                    std::int64_t tiles_per_segment, float* sums) {
  // A tile goes through them in turn, and both do not fit.
  __shared__ union {
    ProductSlices products;
    SumSlices sums;
  } shared;
  const std::int64_t first_row = first_row_of_block(), first_element = std::int64_t{blockIdx.z} * chunk;
  float sum[rows_each][chunk_each] = {};
  for_each_tile(columns.count, tiles_per_segment, [&](std::int64_t first_column) {
    float tile[rows_each][columns_each];  // the logits, then their derivatives
    multiply_tile(rows, first_row, columns, first_column, shared.products, tile);
    AnchorTerms column_terms[columns_each];
#pragma unroll
    for (int c = 0; c < columns_each; ++c) column_terms[c] = anchor_terms(columns, first_column + column_of(c));
#pragma unroll
    for (int r = 0; r < rows_each; ++r) {
      const std::int64_t self = row_offset + first_row + row_of(r);
      const AnchorTerms row = anchor_terms(rows, first_row + row_of(r));
#pragma unroll
      for (int c = 0; c < columns_each; ++c) {
        const std::int64_t column = first_column + column_of(c);
        const float logit = tile[r][c] * inverse_temperature;
        const float softmax = __expf(logit - row.lse) + __expf(logit - column_terms[c].lse);
        const float shares = row.label == column_terms[c].label ? row.share + column_terms[c].share : 0.0f;
        tile[r][c] = column < columns.count && column != self ? softmax - shares : 0.0f;
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

void backward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
              const Tensor& upstream, const Tensor& weight, const Tensor& d_rows) {
  const std::int64_t count = d_rows.dim(0), dim = d_rows.dim(1), contrasts = columns.features.dim(0);
  if (d_rows.numel() == 0) return;
  const std::int64_t row_blocks = divide_up(count, tile_rows), chunks = divide_up(dim, chunk);
  const Segments segments =
      split_columns(contrasts, row_blocks * chunks, count, dim * std::int64_t{sizeof(float)});
  const Tensor sums =
      segments.count == 1 ? d_rows : Tensor::empty({segments.count, count, dim}, DType::f32, Device::cuda);
  const auto inverse_temperature = static_cast<float>(1 / temperature);
  cuda::launch(backward_kernel,
               dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(segments.count),
                    static_cast<unsigned>(chunks)),
               threads, as_rows(rows), as_rows(columns), row_offset, inverse_temperature, segments.tiles,
               sums.data<float>());
  cuda::launch(add_segments_kernel, cuda::blocks_for(d_rows.numel(), threads), threads, sums.data<float>(),
               segments.count, d_rows.numel(), upstream.data<float>(), weight.data<float>(),
               inverse_temperature, d_rows.data<float>());
}

const SupConKernels kernels = {forward, mean, backward};

}  // namespace

const SupConKernels* const supcon_cuda = &kernels;

}  // namespace kindred
