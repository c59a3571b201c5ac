// The font of a build without DejaVu Sans: stb_easy_font, whose letters are made of rectangles in lines of 12 pixels. They can
// only be enlarged by whole numbers, and characters beyond ASCII are boxes.
#include <kindred/third_party/stb/font.h>

#include <algorithm>
#include <cstddef>
#include <string>

// Warnings in this file are not ours to fix.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

namespace kindred::third_party {
namespace {

struct Corner {
  float x, y, z;
  std::uint8_t color[4];
};

constexpr int baseline = 7, below_baseline = 3, box_width = 5;  // of letters that are not enlarged

int enlargement(int size) {
  return std::max(1, (size + 2) / 8);
}

// "..." for the one character that stands for it.
std::string ascii(char32_t character) {
  if (character == U'\u2026') return "...";
  return character >= 32 && character < 127 ? std::string(1, static_cast<char>(character)) : std::string();
}

void cover(Glyph& glyph, int top, int left, int height, int width) {
  for (int y = top; y < std::min(top + height, glyph.height); ++y)
    for (int x = left; x < std::min(left + width, glyph.width); ++x)
      glyph.coverage[static_cast<std::size_t>(y * glyph.width + x)] = 255;
}

}  // namespace

bool font_has_outlines() {
  return false;
}

bool font_has(char32_t character) {
  return !ascii(character).empty();
}

FontExtent font_extent(int size) {
  const auto times = static_cast<float>(enlargement(size));
  return {baseline * times, below_baseline * times, baseline * times};
}

float pen_advance(char32_t character, int size) {
  std::string text = ascii(character);
  const int width = text.empty() ? box_width + 1 : stb_easy_font_width(text.data());
  return static_cast<float>(width * enlargement(size));
}

float kerning(char32_t, char32_t, int) {
  return 0;
}

Ink ink_of(char32_t character, int size) {
  return {-font_extent(size).above, 0, 0, character == U' ' ? 0 : pen_advance(character, size)};
}

Glyph rasterise(char32_t character, int size, float) {
  const int times = enlargement(size);
  std::string text = ascii(character);
  Glyph glyph{.top = -baseline * times,
              .left = 0,
              .height = (baseline + below_baseline) * times,
              .width = static_cast<int>(pen_advance(character, size))};
  glyph.coverage.resize(static_cast<std::size_t>(glyph.height) * static_cast<std::size_t>(glyph.width));
  if (text.empty()) {
    cover(glyph, 0, 0, times, box_width * times);
    cover(glyph, (baseline - 1) * times, 0, times, box_width * times);
    cover(glyph, 0, 0, baseline * times, times);
    cover(glyph, 0, (box_width - 1) * times, baseline * times, times);
    return glyph;
  }
  std::vector<Corner> corners(text.size() * 4 * 24 +
                              64);  // stb's figures: 270 bytes per character, 16 bytes per corner
  const int rectangles = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(),
                                             static_cast<int>(corners.size() * sizeof(Corner)));
  for (int r = 0; r < rectangles; ++r) {
    const Corner& from = corners[static_cast<std::size_t>(r) * 4];
    const Corner& to = corners[static_cast<std::size_t>(r) * 4 + 2];
    cover(glyph, static_cast<int>(from.y) * times, static_cast<int>(from.x) * times,
          static_cast<int>(to.y - from.y) * times, static_cast<int>(to.x - from.x) * times);
  }
  return glyph;
}

}  // namespace kindred::third_party
