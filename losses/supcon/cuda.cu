// Tiles of logits stay in the registers of a block; none is ever written to memory.
//
// A block owns some rows and processes the columns tile by tile (cuda_tiles.cuh). The forward pass keeps
// running log-sum-exps. If rows and columns are the same, a tile is computed once for both (cuda_forward.cuh,
// cuda_sweep.cuh). The backward pass computes the tile of logits again, which is cheaper than storing it. It
// turns them into G_ij + G_ji, and adds the columns with these weights to the gradients of its rows
// (cuda_backward.cuh).
#include <kindred/losses/supcon/cuda_backward.cuh>
#include <kindred/losses/supcon/cuda_forward.cuh>

#include <cmath>
#include <type_traits>

namespace kindred {
namespace {

using namespace supcon_tiles;

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

// Calls body(std::bool_constant), which is true if there is a mask or a cap.
template <typename Body>
void with_generality(const SupConFormula& formula, Body&& body) {
  if (formula.mask.defined() || formula.ring != 0)
    body(std::true_type{});
  else
    body(std::false_type{});
}

// ---- forward

void forward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, Output losses) {
  const std::int64_t anchors = losses.numel(), contrasts = columns.features.dim(0);
  const std::int64_t count = rows.features.dim(0);
  if (count == 0) return;
  const bool triangle = anchors == count && same_rows(rows, columns, formula);
  const bool out = formula.variant == SupConVariant::out;
  const bool one = formula.denominator == SupConDenominator::one_positive;
  const bool joint = out && formula.denominator == SupConDenominator::all;
  const Rows from = as_rows(rows), to = as_rows(columns);
  const Pairs pairs = as_pairs(formula);
  const Room room = room_for(from.dim, forward_places, false);
  const std::size_t shared_bytes = room.bytes(forward_places);
  Tensor sums, positive_sums;
  with_generality(formula, [&]<bool general>(std::bool_constant<general>) {
    const auto sweep_of = [&]<typename Part>(const Part&, auto&& kernel, const auto&... arguments) {
      cuda::raise_shared_limit(kernel, shared_bytes);
      return sweep<Part>(anchors, contrasts, triangle, [&](const Area& area, const Parts<Part>& parts) {
        cuda::launch(kernel, dim3(static_cast<unsigned>(area.blocks)), cuda::Block(threads, shared_bytes), from,
                     to, pairs, area, room, arguments..., parts);
      });
    };
    sums = sweep_of(RunningRow{}, joint ? forward_kernel<general, false> : forward_kernel<general, true>);
    if (!one) return;
    const Tensor log_negative = Tensor::empty({anchors}, DType::f32, Device::cuda);
    cuda::launch(log_negative_kernel, cuda::blocks_for(anchors, threads), threads,
                 static_cast<const RunningRow*>(sums.raw()), anchors, log_negative.data<float>());
    positive_sums = sweep_of(RunningPositives{}, positives_kernel<general>, log_negative.data<float>(), out);
  });
  const ForwardResults results{rows.terms.data<float>(),
                               rows.lse.data<float>(),
                               rows.positives.data<std::int32_t>(),
                               rows.negatives.data<std::int32_t>(),
                               losses.data<float>(),
                               count,
                               anchors};
  cuda::launch(finish_kernel, cuda::blocks_for(count, threads), threads,
               static_cast<const RunningRow*>(sums.raw()),
               one ? static_cast<const RunningPositives*>(positive_sums.raw()) : nullptr, formula.variant,
               formula.denominator, results);
}

// ---- the mean

// One block. Each thread sums doubles, in row order.
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

void mean(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale, Output loss,
          Output weight) {
  cuda::launch(mean_kernel, dim3(1), mean_threads, losses.data<float>(), positives.data<std::int32_t>(),
               losses.numel(), reduction == SupConReduction::all_anchors, scale, loss.data<float>(),
               weight.data<float>());
}

// ---- the cap

// One thread per row: it walks the ring, starting from its own image, until it has found enough positives.
__global__ void cap_kernel(Rows rows, Pairs pairs, std::int64_t views, std::int32_t positives_cap,
                           std::int32_t* cap) {
  const std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (i >= rows.count) return;
  const std::int64_t images = rows.count / views, image = i % images;
  const Member anchor = member_of<true>(rows, i, pairs);
  std::int64_t reach = rows.count;
  std::int32_t found = 0;
  for (std::int64_t away = 0; away < rows.count && reach == rows.count; ++away) {
    const std::int64_t j = away % views * images + (image + away / views) % images;
    if (j != i && match<true>(anchor, member_of<true>(rows, j, pairs), pairs) && ++found == positives_cap)
      reach = away;
  }
  cap[supcon_place * rows.count + i] = static_cast<std::int32_t>(image * views + i / images);
  cap[supcon_image * rows.count + i] = static_cast<std::int32_t>(image * views);
  cap[supcon_reach * rows.count + i] = static_cast<std::int32_t>(reach);
}

void cap(const Tensor& labels, const Tensor& mask, int views, int positives_cap, Output result) {
  const Rows rows{nullptr, data_or_null<std::int32_t>(labels), nullptr, nullptr, result.dim(1), 0};
  SupConFormula formula;
  formula.mask = mask;
  cuda::launch(cap_kernel, cuda::blocks_for(rows.count, threads), threads, rows, as_pairs(formula),
               std::int64_t{views}, positives_cap, result.data<std::int32_t>());
}

// ---- backward

// One warp per row of the area: it adds the parts of the blocks that did not begin its tile of rows.
__global__ void finish_rows_kernel(Area area, const float* parts, std::int64_t dim, const float* upstream,
                                   const float* weight, float inverse_temperature, float* d_rows) {
  const std::int64_t place = (std::int64_t{blockIdx.x} * threads + threadIdx.x) / cuda::warp;
  if (place >= area.rows) return;
  const supcon_areas::Blocks blocks = supcon_areas::blocks_of_row_tile(area, tiling(), place / tile_rows);
  const float scale = *upstream * *weight * inverse_temperature;
  float* row = d_rows + (area.first_row + place) * dim;
  for (std::int64_t e = threadIdx.x % cuda::warp; e < dim; e += cuda::warp) {
    float sum = row[e];
#pragma unroll 8
    for (std::int64_t b = blocks.first + 1; b <= blocks.last; ++b)
      sum += parts[(b * tile_rows + place % tile_rows) * dim + e];
    row[e] = scale * sum;
  }
}

void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output d_rows) {
  const std::int64_t count = d_rows.dim(0), dim = d_rows.dim(1);
  if (d_rows.numel() == 0) return;
  const std::int64_t chunks = cuda::blocks_for(dim, chunk).x;
  const supcon_areas::Limits limits = supcon_areas::limits_for(count);
  const std::int64_t all_blocks = limits.backward_blocks > 0 ? limits.backward_blocks : limits.blocks;
  const std::int64_t blocks = std::max<std::int64_t>(1, all_blocks / chunks);
  const Room room = room_for(dim, backward_places, true);
  const std::size_t shared_bytes = room.bytes(backward_places);
  const std::vector<Area> areas = supcon_areas::rectangle(
      count, columns.features.dim(0), {tile_rows, room.columns}, blocks, supcon_areas::backward_together);
  for (const Area& area : areas) {
    const Tensor parts =
        Tensor::empty({supcon_areas::part_rows(area, tiling()), dim}, DType::f32, Device::cuda);
    with_generality(formula, [&]<bool general>(std::bool_constant<general>) {
      const BackwardKernel kernel = backward_kernel_of<general>(formula);
      cuda::raise_shared_limit(kernel, shared_bytes);
      cuda::launch(kernel, dim3(static_cast<unsigned>(area.blocks * chunks)),
                   cuda::Block(threads, shared_bytes), as_rows(rows), as_rows(columns), as_pairs(formula), area,
                   room, static_cast<unsigned>(chunks), d_rows.data<float>(), parts.data<float>());
    });
    cuda::launch(finish_rows_kernel, cuda::blocks_for(area.rows, threads / cuda::warp), threads, area,
                 parts.data<float>(), dim, upstream.data<float>(), weight.data<float>(),
                 static_cast<float>(1 / formula.temperature), d_rows.data<float>());
  }
}

const SupConKernels kernels = {cap, forward, mean, backward};

}  // namespace

const SupConKernels* const supcon_cuda = &kernels;

}  // namespace kindred
