// How the GPU kernels of batch normalization divide a [rows, channels] tensor. Only cuda.cu includes this file.
//
// A thread handles `width` neighbouring channels, so that the values of these channels stay in registers, and
// walks down the rows. Neighbouring threads of a block take neighbouring channels, up to a warp's worth; the
// other threads of the block take other rows. `width` is 8 if the number of channels allows it: 8 elements are
// 16 bytes of a 16-bit type, and one whole byte of the bit mask. Other channel counts use width 1.
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <type_traits>

namespace kindred::cuda {

constexpr int threads = 256;
constexpr int resident = 4;                        // blocks per multiprocessor at the same time
constexpr std::int64_t one_wave = 132 * resident;  // an H200 has 132 multiprocessors
constexpr std::int64_t many_waves = 8 * one_wave;  // for kernels with nothing to sum up: a shorter tail
constexpr int fewest_rounds = 4;                   // rows per thread that justify loading its channels' values

constexpr std::int64_t ceil_divide(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

struct Layout {
  std::int64_t rows, channels;
  int columns;                // threads along the channels
  std::int64_t segment_rows;  // rows per block
  std::int64_t column_blocks, segments;

  dim3 grid() const { return {static_cast<unsigned>(column_blocks), static_cast<unsigned>(segments)}; }
};

inline Layout layout_of(const Tensor& x, int width, std::int64_t blocks) {
  Layout layout{};
  layout.channels = x.shape().back();
  layout.rows = x.numel() / layout.channels;
  const std::int64_t groups = layout.channels / width;
  layout.column_blocks = ceil_divide(groups, warp);
  layout.columns = static_cast<int>(ceil_divide(groups, layout.column_blocks));
  const std::int64_t stacked = threads / layout.columns;
  const std::int64_t segments = std::min(std::max<std::int64_t>(1, blocks / layout.column_blocks),
                                         ceil_divide(layout.rows, stacked * fewest_rounds));
  layout.segment_rows = ceil_divide(layout.rows, segments);
  layout.segments = ceil_divide(layout.rows, layout.segment_rows);
  return layout;
}

// Calls body(width), where width is 8 or 1, as a type.
template <typename Body>
void dispatch_width(const Tensor& x, Body&& body) {
  if (x.shape().back() % 8 == 0) return body(std::integral_constant<int, 8>{});
  body(std::integral_constant<int, 1>{});
}

// The elements of one thread: `at`, at + step, ... before `end`. Each is the first of `width` elements.
struct Walk {
  std::int64_t channel, at, end, step;
  bool idle;  // a block may have more threads than its columns need, and the last block more channels
};

template <int width>
__device__ Walk walk_of(const Layout& layout) {
  const int stacked = threads / layout.columns;
  const int row = static_cast<int>(threadIdx.x) / layout.columns;
  const int column = static_cast<int>(threadIdx.x) % layout.columns;
  const std::int64_t first_row = blockIdx.y * layout.segment_rows;
  const std::int64_t last_row = std::min(first_row + layout.segment_rows, layout.rows);
  Walk walk;
  walk.channel = (std::int64_t{blockIdx.x} * layout.columns + column) * width;
  walk.at = (first_row + row) * layout.channels + walk.channel;
  walk.end = last_row * layout.channels;
  walk.step = stacked * layout.channels;
  walk.idle = row >= stacked || walk.channel >= layout.channels;
  return walk;
}

// The number of rows that fill `bytes` of one tensor, but not more than every thread has.
template <typename T, int width, int bytes>
constexpr int batch_rows = std::min(fewest_rounds, bytes / (width * static_cast<int>(sizeof(T))));

// Calls use(at, load(at)) for each element of the walk, `batch` of them at a time. All loads of a batch come
// before the first use: a thread that waits for one row at a time does not keep the memory busy.
template <int batch, typename Load, typename Use>
__device__ void for_rows(const Walk& walk, Load load, Use use) {
  std::int64_t at = walk.at;
  for (; at + (batch - 1) * walk.step < walk.end; at += batch * walk.step) {
    decltype(load(at)) items[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) items[i] = load(at + i * walk.step);
#pragma unroll
    for (int i = 0; i < batch; ++i) use(at + i * walk.step, items[i]);
  }
  for (; at < walk.end; at += walk.step) use(at, load(at));
}

// Neighbouring elements, stored as they are in memory and read as floats.
template <typename T, int width>
struct Values {
  static constexpr int step = std::min(width, pack_width<T>);
  Pack<T, step> packs[width / step];

  __device__ float operator[](int i) const { return static_cast<float>(packs[i / step].element[i % step]); }
};

template <int width, typename T>
__device__ Values<T, width> load(const T* from) {
  Values<T, width> values;
  constexpr int step = Values<T, width>::step;
#pragma unroll
  for (int i = 0; i < width; i += step)
    values.packs[i / step] = *reinterpret_cast<const Pack<T, step>*>(from + i);
  return values;
}

template <typename T, int width>
__device__ void store(T* to, const float (&from)[width]) {
  constexpr int step = Values<T, width>::step;
#pragma unroll
  for (int i = 0; i < width; i += step) {
    Pack<T, step> pack;
#pragma unroll
    for (int j = 0; j < step; ++j) pack.element[j] = T(from[i + j]);
    *reinterpret_cast<Pack<T, step>*>(to + i) = pack;
  }
}

}  // namespace kindred::cuda
