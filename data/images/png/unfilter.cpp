// Every pixel depends on the one to its left, so the fast code takes one pixel at a time, with its channels in the lanes
// of a register. How long a pixel takes is the length of the chain from its left neighbour to itself.
#include <kindred/data/images/png/unfilter.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

// Without AVX-512, whose comparisons take longer from operands to result.
#undef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (KINDRED_UNUSED_TARGETS | HWY_AVX3)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/data/images/png/unfilter.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::detail::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

void unfilter(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
              std::size_t pixel_bytes) {
  unfilter_row_plain(filter, row, above, bytes, pixel_bytes);
}

#else
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A pixel: up to eight channels of 8 bits, or of 16 while it is computed.
using Narrow = hn::FixedTag<std::uint8_t, 8>;
using Wide = hn::FixedTag<std::int16_t, 8>;
constexpr Narrow narrow;
constexpr Wide wide;
constexpr hn::Repartition<std::uint8_t, Wide> bytes_of_wide;
using NarrowPixel = hn::Vec<Narrow>;
using WidePixel = hn::Vec<Wide>;

// Exactly N bytes, in the lowest lanes.
template <std::size_t N>
HWY_INLINE NarrowPixel load_pixel(const std::uint8_t* from) {
  std::uint64_t bytes = 0;
  __builtin_memcpy(&bytes, from, N == 3 || N == 6 ? N - N / 3 : N);
  if constexpr (N == 3) bytes |= std::uint64_t{from[2]} << 16;
  if constexpr (N == 6) {
    std::uint16_t last;
    __builtin_memcpy(&last, from + 4, 2);
    bytes |= std::uint64_t{last} << 32;
  }
  return hn::BitCast(narrow, hn::Set(hn::FixedTag<std::uint64_t, 1>(), bytes));
}

// Exactly N bytes: what follows is still to be read.
template <std::size_t N>
HWY_INLINE void store_pixel(std::uint8_t* to, NarrowPixel pixel) {
  const std::uint64_t bytes = hn::GetLane(hn::BitCast(hn::FixedTag<std::uint64_t, 1>(), pixel));
  if constexpr (N == 3) {
    __builtin_memcpy(to, &bytes, 2);
    to[2] = static_cast<std::uint8_t>(bytes >> 16);
  } else if constexpr (N == 6) {
    const std::uint64_t last = bytes >> 32;
    __builtin_memcpy(to, &bytes, 4);
    __builtin_memcpy(to + 4, &last, 2);
  } else {
    __builtin_memcpy(to, &bytes, N);
  }
}

template <std::size_t N>
void undo_sub(std::uint8_t* row, std::size_t bytes) {
  NarrowPixel left = hn::Zero(narrow);
  for (std::size_t i = 0; i < bytes; i += N) {
    left = hn::Add(left, load_pixel<N>(row + i));
    store_pixel<N>(row + i, left);
  }
}

void undo_up(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) row[i] = static_cast<std::uint8_t>(row[i] + above[i]);
}

template <std::size_t N>
void undo_average(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  const NarrowPixel one = hn::Set(narrow, 1);
  NarrowPixel left = hn::Zero(narrow);
  for (std::size_t i = 0; i < bytes; i += N) {
    const NarrowPixel up = load_pixel<N>(above + i);
    // The instruction rounds a half up, PNG rounds it down.
    const NarrowPixel half = hn::And(hn::Xor(left, up), one);
    const NarrowPixel average = hn::Sub(hn::AverageRound(left, up), half);
    left = hn::Add(load_pixel<N>(row + i), average);
    store_pixel<N>(row + i, left);
  }
}

// The predictor as stb_image 2.29 computes it: with t = 3 corner - left - above, the smaller of left and above is nearest
// if t is at least the larger one, the larger if t is at most the smaller one, and otherwise the corner.
template <std::size_t N>
void undo_paeth(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  WidePixel left = hn::Zero(wide), corner = left;
  for (std::size_t i = 0; i < bytes; i += N) {
    const WidePixel up = hn::PromoteTo(wide, load_pixel<N>(above + i));
    const WidePixel difference = hn::PromoteTo(wide, load_pixel<N>(row + i));
    const WidePixel triple = hn::Add(corner, hn::Add(corner, corner));
    const WidePixel t = hn::Sub(hn::Sub(triple, up), left);
    const WidePixel low = hn::Min(left, up), high = hn::Max(left, up);
    const WidePixel low_or_corner = hn::IfThenElse(hn::Gt(high, t), corner, low);
    const WidePixel predicted = hn::IfThenElse(hn::Gt(t, low), low_or_corner, high);
    // The upper bytes stay 0.
    left = hn::BitCast(wide,
                       hn::Add(hn::BitCast(bytes_of_wide, predicted), hn::BitCast(bytes_of_wide, difference)));
    corner = up;
    store_pixel<N>(row + i, hn::DemoteTo(narrow, left));
  }
}

template <std::size_t N>
void undo(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  switch (filter) {
    case PngFilter::none:
      return;
    case PngFilter::sub:
      return undo_sub<N>(row, bytes);
    case PngFilter::up:
      return undo_up(row, above, bytes);
    case PngFilter::average:
      return undo_average<N>(row, above, bytes);
    case PngFilter::paeth:
      return undo_paeth<N>(row, above, bytes);
  }
}

}  // namespace

void unfilter(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
              std::size_t pixel_bytes) {
  switch (pixel_bytes) {
    case 1:
      return undo<1>(filter, row, above, bytes);
    case 2:
      return undo<2>(filter, row, above, bytes);
    case 3:
      return undo<3>(filter, row, above, bytes);
    case 4:
      return undo<4>(filter, row, above, bytes);
    case 6:
      return undo<6>(filter, row, above, bytes);
    default:
      return undo<8>(filter, row, above, bytes);
  }
}

#endif
}  // namespace kindred::detail::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred::detail {
namespace {

// Which of the three is nearest to left + above - corner; the first one wins.
int paeth_predictor(int left, int above, int corner) {
  const int estimate = left + above - corner;
  const int to_left = std::abs(estimate - left), to_above = std::abs(estimate - above),
            to_corner = std::abs(estimate - corner);
  if (to_left <= to_above && to_left <= to_corner) return left;
  return to_above <= to_corner ? above : corner;
}

}  // namespace

void unfilter_row_plain(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                        std::size_t pixel_bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    const bool first = i < pixel_bytes;  // no pixel to the left
    const int left = first ? 0 : row[i - pixel_bytes], corner = first ? 0 : above[i - pixel_bytes];
    int predicted = 0;
    switch (filter) {
      case PngFilter::none:
        break;
      case PngFilter::sub:
        predicted = left;
        break;
      case PngFilter::up:
        predicted = above[i];
        break;
      case PngFilter::average:
        predicted = (left + above[i]) / 2;
        break;
      case PngFilter::paeth:
        predicted = paeth_predictor(left, above[i], corner);
        break;
    }
    row[i] = static_cast<std::uint8_t>(row[i] + predicted);
  }
}

HWY_EXPORT(unfilter);

void unfilter_row(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                  std::size_t pixel_bytes) {
  KINDRED_FOR_TARGET(unfilter)(filter, row, above, bytes, pixel_bytes);
}

}  // namespace kindred::detail
#endif
