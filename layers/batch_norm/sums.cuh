// Two sums for each channel over the rows, in one kernel and in a fixed order, so every run gives the same bits.
//
// They are float inside a thread and double from there on. Each block adds up the rows of its segment. The last block
// of a group of neighbouring segments to be done adds up the group, always from its first segment to its last, and
// the last of those adds up the groups and finishes the channel. So a pass is one launch.
#pragma once

#include <kindred/layers/batch_norm/rows.cuh>

namespace kindred::cuda {

// How many blocks of a group, or groups of a block's channels, are done. All counters are 0 between two launches: they
// begin so when the program is loaded, and the last block to come sets its counter to 0 again. So a recording can be
// replayed without anything that clears them, and they live longer than any recording. Two launches that ran at the
// same time would count together; but launch() puts every kernel into the one stream of computation, and so do
// recordings.
constexpr std::int64_t most_counters = 2 * one_wave;
static __device__ unsigned counters[most_counters];

// Whether this block is the last of `count` blocks to come here. If so, all its threads see what the others wrote
// before they came. Every thread of the block must call it.
__device__ inline bool comes_last(unsigned& counter, int count) {
  __shared__ bool last;
  __syncthreads();  // all threads have written
  if (threadIdx.x == 0) {
    const auto most = static_cast<unsigned>(count - 1);
    __threadfence();  // what they wrote is visible before the count is
    last = atomicInc(&counter, most) == most;
    __threadfence();  // and what others wrote is read after it
  }
  __syncthreads();
  return last;
}

struct SumPair {
  double first, second;
};

// The sums of some blocks for a channel; sums is [entries, 2, channels].
__device__ inline SumPair add_entries(const double* sums, std::int64_t begin, std::int64_t end,
                                      std::int64_t channels, std::int64_t c) {
  SumPair all{0, 0};
#pragma unroll 8
  for (std::int64_t e = begin; e < end; ++e) {
    all.first += sums[2 * e * channels + c];
    all.second += sums[(2 * e + 1) * channels + c];
  }
  return all;
}

// partial: [segments + groups, 2, channels]; null if there is one segment.
template <int width, typename Terms>
__global__ void __launch_bounds__(threads, resident) sums_kernel(Terms terms, Layout layout, double* partial) {
  constexpr int apart = 4;  // floats, so that the threads that read below find their values in different banks
  __shared__ float sums[2 * width][threads + apart];
  {
    const Walk walk = walk_down<width>(layout);
    float first[width] = {}, second[width] = {};
    if (!walk.idle) {
      const auto center = terms.center(walk.channel);
      for_rows<Terms::batch>(
          walk, [&](std::int64_t at) { return terms.load_item(at); },
          [&](std::int64_t at, const auto& item) { terms.add(at, item, center, first, second); });
    }
#pragma unroll
    for (int i = 0; i < width; ++i) {
      sums[i][threadIdx.x] = first[i];
      sums[width + i][threadIdx.x] = second[i];
    }
  }
  __syncthreads();

  // From here on a thread has one channel.
  const auto column = static_cast<int>(threadIdx.x) / width, i = static_cast<int>(threadIdx.x) % width;
  const std::int64_t channels = layout.channels;
  const std::int64_t c = std::int64_t{blockIdx.x} * layout.columns * width + threadIdx.x;
  const bool idle = column >= layout.columns || c >= channels;
  SumPair all{0, 0};
  for (int row = 0; !idle && row < layout.stacked; ++row) {
    all.first += static_cast<double>(sums[i][row * layout.columns + column]);
    all.second += static_cast<double>(sums[width + i][row * layout.columns + column]);
  }
  const auto put = [&](std::int64_t entry) {
    if (idle) return;
    partial[2 * entry * channels + c] = all.first;
    partial[(2 * entry + 1) * channels + c] = all.second;
  };
  if (layout.segments > 1) {
    const auto segment = static_cast<int>(blockIdx.y), segments = static_cast<int>(layout.segments);
    int group = 0;  // segment / layout.group
    while ((group + 1) * layout.group <= segment) ++group;
    unsigned* const own = counters + blockIdx.x * static_cast<unsigned>(layout.groups + 1);
    const int begin = group * layout.group, end = std::min(begin + layout.group, segments);
    put(segment);
    if (!comes_last(own[1 + group], end - begin)) return;
    if (!idle) all = add_entries(partial, begin, end, channels, c);
    if (layout.groups > 1) {
      put(segments + group);
      if (!comes_last(own[0], layout.groups)) return;
      if (!idle) all = add_entries(partial, segments, segments + layout.groups, channels, c);
    }
  }
  if (!idle) terms.finish(c, all.first, all.second);
}

template <int width, typename Terms>
void channel_sums(const Tensor& x, const Terms& terms) {
  const Layout layout = layout_of(x, width);
  Tensor partial;
  if (layout.segments > 1) {
    // At most half as many column blocks as there are blocks, and few groups where there are many column blocks.
    check(layout.column_blocks * (layout.groups + 1) <= most_counters, ExitCode::internal,
          "batch_norm: {} groups of {} column blocks; expected at most {} counters", layout.groups,
          layout.column_blocks, most_counters);
    partial = Tensor::empty({layout.segments + layout.groups, 2, layout.channels}, DType::f64, Device::cuda);
  }
  launch(sums_kernel<width, Terms>, layout.segment_grid(), threads, terms, layout,
         data_or_null<double>(partial));
}

}  // namespace kindred::cuda
