#include <kindred/data/images/packed_sample.h>
#include <kindred/data/images/png/expand.h>

#include <algorithm>
#include <cstring>

namespace kindred::detail {
namespace {

// The first of every `step` bytes, three times.
void repeat_gray(const std::uint8_t* row, std::size_t step, std::size_t width, std::uint8_t* rgb) {
  for (std::size_t x = 0; x < width; ++x) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = row[step * x];
}

void stretch_gray(const std::uint8_t* row, std::size_t bits, std::size_t width, std::uint8_t* rgb) {
  const std::uint32_t scale = 255 / ((1u << bits) - 1);
  for (std::size_t x = 0; x < width; ++x)
    rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] =
        static_cast<std::uint8_t>(packed_sample(row, x, bits) * scale);
}

// Three channels out of three or four, of one or two bytes each.
template <std::size_t Channels, std::size_t SampleBytes>
void take_rgb(const std::uint8_t* row, std::size_t width, std::uint8_t* rgb) {
  for (std::size_t x = 0; x < width; ++x)
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * x + c] = row[(Channels * x + c) * SampleBytes];
}

bool look_up(const PngFile& file, const std::uint8_t* row, std::size_t width, std::uint8_t* rgb) {
  constexpr std::uint8_t black[3] = {0, 0, 0};
  const std::size_t colours = file.palette.size() / 3;
  bool all_there = true;
  for (std::size_t x = 0; x < width; ++x) {
    const std::size_t index = packed_sample(row, x, file.bits);
    const bool there = index < colours;
    all_there &= there;
    std::copy_n(there ? file.palette.data() + 3 * index : black, 3, rgb + 3 * x);
  }
  return all_there;
}

}  // namespace

bool expand_row(const PngFile& file, const std::uint8_t* row, std::size_t width, std::uint8_t* rgb) {
  const bool deep = file.bits == 16;
  switch (file.colour) {
    case PngColour::palette:
      return look_up(file, row, width, rgb);
    case PngColour::gray:
      if (file.bits < 8)
        stretch_gray(row, file.bits, width, rgb);
      else if (deep)
        repeat_gray(row, 2, width, rgb);
      else
        repeat_gray(row, 1, width, rgb);  // a constant, so that the compiler makes this the fast one
      break;
    case PngColour::gray_alpha:
      repeat_gray(row, deep ? 4 : 2, width, rgb);
      break;
    case PngColour::rgb:
      if (deep)
        take_rgb<3, 2>(row, width, rgb);
      else
        std::memcpy(rgb, row, 3 * width);
      break;
    case PngColour::rgb_alpha:
      if (deep)
        take_rgb<4, 2>(row, width, rgb);
      else
        take_rgb<4, 1>(row, width, rgb);
      break;
  }
  return true;
}

}  // namespace kindred::detail
