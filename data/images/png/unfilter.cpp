// Every pixel depends on the one to its left, so the fast code takes one pixel at a time, with its channels in the lanes
// of a register. How long a pixel takes is the length of the chain from its left neighbour to itself.
#include <kindred/data/images/png/unfilter.h>

#include <cstdlib>

#ifdef __SSE4_1__
#include <immintrin.h>

#include <cstring>
#endif

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

#ifdef __SSE4_1__

namespace {

// The lanes behind the pixel's N bytes may hold anything: no lane reads another one.
template <std::size_t N>
__m128i load_pixel(const std::uint8_t* from) {
  if constexpr (N == 1) {
    return _mm_cvtsi32_si128(*from);
  } else if constexpr (N == 2) {
    std::uint16_t bytes;
    std::memcpy(&bytes, from, 2);
    return _mm_cvtsi32_si128(bytes);
  } else if constexpr (N <= 4) {
    std::int32_t bytes;
    std::memcpy(&bytes, from, 4);
    return _mm_cvtsi32_si128(bytes);
  } else {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  }
}

// Exactly N bytes: what follows is still to be read.
template <std::size_t N>
void store_pixel(std::uint8_t* to, __m128i pixel) {
  if constexpr (N == 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), pixel);
  } else if constexpr (N == 6) {
    const auto low = static_cast<std::uint32_t>(_mm_cvtsi128_si32(pixel));
    const auto high = static_cast<std::uint16_t>(_mm_extract_epi16(pixel, 2));
    std::memcpy(to, &low, 4);
    std::memcpy(to + 4, &high, 2);
  } else {
    const auto low = static_cast<std::uint32_t>(_mm_cvtsi128_si32(pixel));
    if constexpr (N == 4) {
      std::memcpy(to, &low, 4);
    } else {
      for (std::size_t k = 0; k < N; ++k) to[k] = static_cast<std::uint8_t>(low >> (8 * k));
    }
  }
}

template <std::size_t N>
void undo_sub(std::uint8_t* row, std::size_t bytes) {
  __m128i left = _mm_setzero_si128();
  for (std::size_t i = 0; i < bytes; i += N) {
    left = _mm_add_epi8(left, load_pixel<N>(row + i));
    store_pixel<N>(row + i, left);
  }
}

void undo_up(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) row[i] = static_cast<std::uint8_t>(row[i] + above[i]);
}

template <std::size_t N>
void undo_average(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  const __m128i one = _mm_set1_epi8(1);
  __m128i left = _mm_setzero_si128();
  for (std::size_t i = 0; i < bytes; i += N) {
    const __m128i up = load_pixel<N>(above + i);
    // The instruction rounds a half up, PNG rounds it down.
    const __m128i half = _mm_and_si128(_mm_xor_si128(left, up), one);
    const __m128i average = _mm_sub_epi8(_mm_avg_epu8(left, up), half);
    left = _mm_add_epi8(load_pixel<N>(row + i), average);
    store_pixel<N>(row + i, left);
  }
}

// The predictor as stb_image 2.29 computes it: with t = 3 corner - left - above, the smaller of left and above is nearest
// if t is at least the larger one, the larger if t is at most the smaller one, and otherwise the corner.
template <std::size_t N>
void undo_paeth(std::uint8_t* row, const std::uint8_t* above, std::size_t bytes) {
  const __m128i zero = _mm_setzero_si128();
  __m128i left = zero, corner = zero;  // 16 bits a lane
  for (std::size_t i = 0; i < bytes; i += N) {
    const __m128i up = _mm_unpacklo_epi8(load_pixel<N>(above + i), zero);
    const __m128i difference = _mm_unpacklo_epi8(load_pixel<N>(row + i), zero);
    const __m128i triple = _mm_add_epi16(corner, _mm_add_epi16(corner, corner));
    const __m128i t = _mm_sub_epi16(_mm_sub_epi16(triple, up), left);
    const __m128i low = _mm_min_epi16(left, up), high = _mm_max_epi16(left, up);
    const __m128i low_or_corner = _mm_blendv_epi8(low, corner, _mm_cmpgt_epi16(high, t));
    const __m128i predicted = _mm_blendv_epi8(high, low_or_corner, _mm_cmpgt_epi16(t, low));
    left = _mm_add_epi8(predicted, difference);  // the upper bytes stay 0
    corner = up;
    store_pixel<N>(row + i, _mm_packus_epi16(left, left));
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

void unfilter_row(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
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

#else

void unfilter_row(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                  std::size_t pixel_bytes) {
  unfilter_row_plain(filter, row, above, bytes, pixel_bytes);
}

#endif

}  // namespace kindred::detail
