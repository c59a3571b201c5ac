// How the GPU kernels of batch normalization divide a [rows, channels] tensor. Only the .cu files of this folder
// include it.
//
// A thread handles `width` neighbouring channels, so that the values of these channels stay in registers, and
// walks down the rows. Neighbouring threads of a block take neighbouring channels, up to a warp's worth; the
// other threads of the block take other rows. `width` is 8 if the number of channels allows it: 8 elements are
// 16 bytes of a 16-bit type, and one whole byte of the bit mask. Other channel counts use width 1.
//
// Two passes over the same rows follow each other: statistics and apply, reduce and backward. The first divides the
// rows into segments, of which all are walked at the same time, each from its first row to its last. What is then
// still in the L2 cache are the last rows of every segment. So the second pass takes the same segments and walks
// them from their ends: first the last parts of all segments (the grid's z is 0), then the parts before those.
// Blocks start in the order x, y, z, which is not guaranteed, and only the speed depends on it.
#pragma once

#include <kindred/engine/cuda/launch.h>

#include <bit>
#include <type_traits>

namespace kindred::cuda {

constexpr int threads = 256;
constexpr int resident = 3;                        // blocks per multiprocessor at the same time
constexpr std::int64_t one_wave = 132 * resident;  // an H200 has 132 multiprocessors
constexpr std::int64_t most_parts = 4;             // of a segment: shorter blocks, for a shorter tail
constexpr int fewest_rounds = 4;                   // rows per thread that justify loading its channels' values
constexpr std::int64_t few_segments = 24;          // whose sums one block adds up as fast as two in turn

constexpr std::int64_t ceil_divide(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

struct Layout {
  std::int64_t channels, rows;
  std::int64_t column_blocks, segments;
  std::int64_t segment_rows, part_rows;  // multiples of `stacked`
  int columns, stacked;                  // threads along the channels and along the rows
  unsigned inverse_columns;              // 2^16 / columns, rounded up
  int group, groups;                     // neighbouring segments whose sums are added up first (sums.cuh)
  int parts;

  dim3 segment_grid() const { return {static_cast<unsigned>(column_blocks), static_cast<unsigned>(segments)}; }
  dim3 part_grid() const {
    return {static_cast<unsigned>(column_blocks), static_cast<unsigned>(segments),
            static_cast<unsigned>(parts)};
  }
};

inline Layout layout_of(const Tensor& x, int width) {
  Layout layout{};
  layout.channels = x.shape().back();
  layout.rows = x.numel() / layout.channels;
  const std::int64_t threads_across = layout.channels / width;
  layout.column_blocks = ceil_divide(threads_across, warp);
  layout.columns = static_cast<int>(ceil_divide(threads_across, layout.column_blocks));
  layout.stacked = threads / layout.columns;
  layout.inverse_columns = static_cast<unsigned>(ceil_divide(1 << 16, layout.columns));

  const std::int64_t stacked = layout.stacked;
  const std::int64_t most_segments = std::min(std::max<std::int64_t>(1, one_wave / layout.column_blocks),
                                              ceil_divide(layout.rows, stacked * fewest_rounds));
  layout.segment_rows = ceil_divide(layout.rows, most_segments * stacked) * stacked;
  layout.segments = ceil_divide(layout.rows, layout.segment_rows);

  std::int64_t group = 1;  // about the square root, so that both rounds of adding are equally short
  while (group * group < layout.segments) ++group;
  if (layout.segments <= few_segments) group = layout.segments;
  layout.group = static_cast<int>(group);
  layout.groups = static_cast<int>(ceil_divide(layout.segments, group));

  const std::int64_t rounds = layout.segment_rows / stacked;
  const std::int64_t parts = std::min(most_parts, ceil_divide(rounds, fewest_rounds));
  layout.part_rows = ceil_divide(rounds, parts) * stacked;
  layout.parts = static_cast<int>(ceil_divide(layout.segment_rows, layout.part_rows));
  return layout;
}

// Calls body(width), where width is 8 or 1, as a type.
template <typename Body>
void dispatch_width(const Tensor& x, Body&& body) {
  if (x.shape().back() % 8 == 0) return body(std::integral_constant<int, 8>{});
  body(std::integral_constant<int, 1>{});
}

// Calls body(flag) with the flag as a type. What a kernel reads and writes is decided when it is compiled: a branch in
// front of a load makes the loads behind it wait for what comes before the branch.
template <typename Body>
void with_flag(bool flag, Body&& body) {
  if (flag) return body(std::true_type{});
  body(std::false_type{});
}

enum class Direction { down, up };

// The elements of one thread: `at`, then every `move` further, as long as `left` is above 0, which each of them
// lowers by `stacked`. Each is the first of `width` elements.
struct Walk {
  std::int64_t channel, at, move;
  int left, stacked;
  bool idle;  // a block may have more threads than its columns need, and the last block more channels
};

template <int width>
__device__ Walk walk_of(const Layout& layout, std::int64_t first_row, std::int64_t end_row,
                        Direction direction) {
  const auto thread = static_cast<int>(threadIdx.x);
  // thread / columns: exact, because there are at most 256 threads in at most 32 columns.
  const auto row = static_cast<int>(threadIdx.x * layout.inverse_columns >> 16);
  const int column = thread - row * layout.columns;
  Walk walk;
  walk.channel = (std::int64_t{blockIdx.x} * layout.columns + column) * width;
  walk.stacked = layout.stacked;
  walk.left = static_cast<int>(end_row - first_row) - row;
  const std::int64_t step = layout.stacked * layout.channels;
  walk.move = direction == Direction::down ? step : -step;
  walk.at =
      (direction == Direction::down ? first_row + row : end_row - 1 - row) * layout.channels + walk.channel;
  walk.idle = row >= layout.stacked || walk.channel >= layout.channels;
  return walk;
}

// For the grid segment_grid(): this block's segment, from its first row on.
template <int width>
__device__ Walk walk_down(const Layout& layout) {
  const std::int64_t first_row = blockIdx.y * layout.segment_rows;
  return walk_of<width>(layout, first_row, std::min(first_row + layout.segment_rows, layout.rows),
                        Direction::down);
}

// For the grid part_grid(): this block's part of a segment, from its last row on.
template <int width>
__device__ Walk walk_up(const Layout& layout) {
  const std::int64_t segment = blockIdx.y * layout.segment_rows;
  const std::int64_t segment_end = std::min(segment + layout.segment_rows, layout.rows);
  const std::int64_t first_row = segment + (layout.parts - 1 - static_cast<int>(blockIdx.z)) * layout.part_rows;
  return walk_of<width>(layout, first_row, std::min(first_row + layout.part_rows, segment_end), Direction::up);
}

// The number of rows that fill `bytes` of one tensor, but not more than every thread has.
template <typename T, int width, int bytes>
constexpr int batch_rows = std::min(fewest_rounds, bytes / (width * static_cast<int>(sizeof(T))));

// Calls use(at, load(at)) for each element of the walk, `batch` of them at a time. All loads of a batch come
// before the first use: a thread that waits for one row at a time does not keep the memory busy. The last batch loads
// its first row once more in place of those that it lacks.
template <int batch, typename Load, typename Use>
__device__ void for_rows(const Walk& walk, Load load, Use use) {
  std::int64_t at = walk.at;
  int left = walk.left;
  decltype(load(at)) items[batch];
  for (; left > (batch - 1) * walk.stacked; left -= batch * walk.stacked, at += batch * walk.move) {
#pragma unroll
    for (int i = 0; i < batch; ++i) items[i] = load(at + i * walk.move);
#pragma unroll
    for (int i = 0; i < batch; ++i) use(at + i * walk.move, items[i]);
  }
  if (left <= 0) return;
#pragma unroll
  for (int i = 0; i < batch; ++i) items[i] = load(i * walk.stacked < left ? at + i * walk.move : at);
#pragma unroll
  for (int i = 0; i < batch; ++i)
    if (i * walk.stacked < left) use(at + i * walk.move, items[i]);
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

// Four bytes of elements.
template <typename T>
__device__ std::uint32_t word_of(const float* from) {
  if constexpr (sizeof(T) == 4) {
    return std::bit_cast<std::uint32_t>(T(from[0]));
  } else {
    const std::uint32_t low = std::bit_cast<std::uint16_t>(T(from[0])),
                        high = std::bit_cast<std::uint16_t>(T(from[1]));
    std::uint32_t word = high << 16 | low;
    asm("" : "+r"(word));  // no instruction; it keeps the word in one piece
    return word;
  }
}

// A store of 16 bytes by one instruction. Of a structure nvcc makes four stores wherever it does not see that its parts are
// neighbours, and each takes as long as the one.
__extension__ typedef unsigned __int128 SixteenBytes;

template <typename T, int width>
__device__ void store(T* to, const float (&from)[width]) {
  if constexpr (width == 1) {
    *to = T(from[0]);
  } else {
    constexpr int word = 4 / static_cast<int>(sizeof(T));  // elements
#pragma unroll
    for (int i = 0; i < width; i += 4 * word) {
      const auto eight_bytes = [&](int at) {
        return std::uint64_t{word_of<T>(from + at + word)} << 32 | word_of<T>(from + at);
      };
      const std::uint64_t low = eight_bytes(i), high = eight_bytes(i + 2 * word);
      *reinterpret_cast<SixteenBytes*>(to + i) = SixteenBytes{high} << 64 | low;
    }
  }
}

template <typename T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

}  // namespace kindred::cuda
