// Tiles of logits in the registers of a block; none is ever written to memory.
//
// A block owns some rows and walks over the columns, tile by tile (cuda_tiles.h). Forward keeps running
// log-sum-exps (cuda_forward.h). Backward computes the tile of logits again, which is cheaper than to store it,
// makes G_ij + G_ji of it, and adds the columns so weighted to its rows' gradients (cuda_backward.h).
//
// Few rows make too few blocks to fill a GPU. Then the columns are split into segments, each walked by a block
// of its own that leaves its part in scratch memory, and a second kernel puts the parts together in the order
// of the segments. No sum depends on timing.
#include <kindred/losses/supcon/cuda_backward.h>
#include <kindred/losses/supcon/cuda_forward.h>

#include <cmath>
#include <type_traits>

namespace kindred {
namespace {

using namespace supcon_tiles;

constexpr std::int64_t most_scratch = std::int64_t{48} << 20;  // bytes

template <typename T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

Rows as_rows(const SupConRows& rows) {
  return {rows.features.data<float>(),
          data_or_null<std::int32_t>(rows.labels),
          data_or_null<std::int32_t>(rows.cap),
          data_or_null<float>(rows.terms),
          rows.features.dim(0),
          rows.features.dim(1)};
}

Pairs as_pairs(const SupConFormula& formula) {
  return {static_cast<float>(1 / formula.temperature), formula.row_offset,
          data_or_null<std::uint8_t>(formula.mask), formula.mask.defined() ? formula.mask.dim(0) : 1,
          static_cast<std::int32_t>(formula.ring)};
}

// Calls body(std::bool_constant) with whether a mask or a cap is to be looked at.
template <typename Body>
void with_generality(const SupConFormula& formula, Body&& body) {
  if (formula.mask.defined() || formula.ring != 0)
    body(std::true_type{});
  else
    body(std::false_type{});
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

// ---- forward

void forward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
             const Tensor& losses) {
  const std::int64_t anchors = losses.numel(), contrasts = columns.features.dim(0);
  if (rows.features.dim(0) == 0) return;
  const std::int64_t row_blocks = std::max<std::int64_t>(1, divide_up(anchors, tile_rows));
  const Segments segments =
      split_columns(contrasts, row_blocks, std::max<std::int64_t>(1, anchors), sizeof(RunningRow));
  const auto scratch_for = [&](std::size_t bytes) {
    return Tensor::empty({segments.count, anchors, static_cast<std::int64_t>(bytes)}, DType::u8, Device::cuda);
  };
  const Tensor scratch = scratch_for(sizeof(RunningRow));
  auto* parts = static_cast<RunningRow*>(scratch.raw());
  const dim3 grid(static_cast<unsigned>(row_blocks), static_cast<unsigned>(segments.count));
  const bool out = formula.variant == SupConVariant::out;
  const bool one = formula.denominator == SupConDenominator::one_positive;
  const bool joint = out && formula.denominator == SupConDenominator::all;
  Tensor positive_scratch;
  with_generality(formula, [&]<bool general>(std::bool_constant<general>) {
    cuda::launch(joint ? forward_kernel<general, false> : forward_kernel<general, true>, grid, threads,
                 as_rows(rows), anchors, as_rows(columns), as_pairs(formula), segments.tiles, parts);
    if (!one) return;
    positive_scratch = scratch_for(sizeof(RunningPositives));
    const Tensor log_negative = Tensor::empty({anchors}, DType::f32, Device::cuda);
    cuda::launch(log_negative_kernel, cuda::blocks_for(anchors, threads), threads, parts, segments.count,
                 anchors, log_negative.data<float>());
    cuda::launch(positives_kernel<general>, grid, threads, as_rows(rows), anchors, as_rows(columns),
                 as_pairs(formula), segments.tiles, log_negative.data<float>(), out,
                 static_cast<RunningPositives*>(positive_scratch.raw()));
  });
  const ForwardResults results{rows.terms.data<float>(),
                               rows.lse.data<float>(),
                               rows.positives.data<std::int32_t>(),
                               rows.negatives.data<std::int32_t>(),
                               losses.data<float>(),
                               rows.features.dim(0),
                               anchors};
  cuda::launch(finish_kernel, cuda::blocks_for(results.count, threads), threads, parts,
               one ? static_cast<RunningPositives*>(positive_scratch.raw()) : nullptr, segments.count,
               formula.variant, formula.denominator, results);
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

// ---- the cap

// One thread a row: walks the ring from its own image on until enough positives are found.
__global__ void cap_kernel(Rows rows, Pairs pairs, std::int64_t views, std::int32_t positives_cap,
                           std::int32_t* cap) {
  const std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i >= rows.count) return;
  const std::int64_t images = rows.count / views, image = i % images;
  const Member anchor = member_of<true>(rows, i);
  std::int64_t reach = rows.count;
  std::int32_t found = 0;
  for (std::int64_t away = 0; away < rows.count && reach == rows.count; ++away) {
    const std::int64_t j = away % views * images + (image + away / views) % images;
    if (j != i && match<true>(anchor, member_of<true>(rows, j), pairs) && ++found == positives_cap)
      reach = away;
  }
  cap[supcon_place * rows.count + i] = static_cast<std::int32_t>(image * views + i / images);
  cap[supcon_image * rows.count + i] = static_cast<std::int32_t>(image * views);
  cap[supcon_reach * rows.count + i] = static_cast<std::int32_t>(reach);
}

void cap(const Tensor& labels, const Tensor& mask, int views, int positives_cap, const Tensor& result) {
  const Rows rows{nullptr, data_or_null<std::int32_t>(labels), nullptr, nullptr, result.dim(1), 0};
  SupConFormula formula;
  formula.mask = mask;
  cuda::launch(cap_kernel, cuda::blocks_for(rows.count, threads), threads, rows, as_pairs(formula),
               std::int64_t{views}, positives_cap, result.data<std::int32_t>());
}

// ---- backward

template <bool general>
auto backward_kernel_of(const SupConFormula& formula) {
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

void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, const Tensor& d_rows) {
  const std::int64_t count = d_rows.dim(0), dim = d_rows.dim(1), contrasts = columns.features.dim(0);
  if (d_rows.numel() == 0) return;
  const std::int64_t row_blocks = divide_up(count, tile_rows), chunks = divide_up(dim, chunk);
  const Segments segments =
      split_columns(contrasts, row_blocks * chunks, count, dim * std::int64_t{sizeof(float)});
  const Tensor sums =
      segments.count == 1 ? d_rows : Tensor::empty({segments.count, count, dim}, DType::f32, Device::cuda);
  with_generality(formula, [&]<bool general>(std::bool_constant<general>) {
    cuda::launch(backward_kernel_of<general>(formula),
                 dim3(static_cast<unsigned>(row_blocks), static_cast<unsigned>(segments.count),
                      static_cast<unsigned>(chunks)),
                 threads, as_rows(rows), as_rows(columns), as_pairs(formula), segments.tiles,
                 sums.data<float>());
  });
  cuda::launch(add_segments_kernel, cuda::blocks_for(d_rows.numel(), threads), threads, sums.data<float>(),
               segments.count, d_rows.numel(), upstream.data<float>(), weight.data<float>(),
               static_cast<float>(1 / formula.temperature), d_rows.data<float>());
}

const SupConKernels kernels = {cap, forward, mean, backward};

}  // namespace

const SupConKernels* const supcon_cuda = &kernels;

}  // namespace kindred
