// PNG's filters: a row holds differences from its neighbours to the left and above, which compress better than levels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kindred::detail {

enum class PngFilter : std::uint8_t { none, sub, up, average, paeth };

constexpr std::uint8_t png_filters = 5;

// How many bytes behind a row and behind the row above must be readable. Their values do not matter.
constexpr std::size_t unfilter_slack = 8;

// Turns the differences in `row` into samples, in place. `above` holds the samples of the row above, or zeros. Both have
// `bytes` bytes, a multiple of `pixel_bytes`, which is 1, 2, 3, 4, 6 or 8.
void unfilter_row(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                  std::size_t pixel_bytes);

// The definition, byte by byte; it needs no slack. unfilter_row gives the same bytes.
void unfilter_row_plain(PngFilter filter, std::uint8_t* row, const std::uint8_t* above, std::size_t bytes,
                        std::size_t pixel_bytes);

}  // namespace kindred::detail
