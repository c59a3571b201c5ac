// The font that programs draw text with: DejaVu Sans, which the build puts into the program, rasterised by stb_truetype.
// A build without the font has stb_easy_font in its place (font_missing.cpp): letters of a few pixels, and ASCII alone.
//
// Sizes are in pixels per em. The pen moves along the baseline; y grows downwards. Functions may be called by several
// threads at once.
#pragma once

#include <cstdint>
#include <vector>

namespace kindred::third_party {

// False for stb_easy_font.
bool font_has_outlines();

// Whether the font has this character. Another one is drawn as the font's box for missing characters.
bool font_has(char32_t character);

// How far a line reaches above and below its baseline, and how high capitals are, in pixels. All are positive.
struct FontExtent {
  float above = 0, below = 0, capitals = 0;
};
FontExtent font_extent(int size);

// How far the character moves the pen, in pixels.
float pen_advance(char32_t character, int size);
// What is added to that in front of `next`: negative for pairs like "AV".
float kerning(char32_t character, char32_t next, int size);

// The rectangle that the character's outline fills, in pixels from the pen. Zeros for a space.
struct Ink {
  float top = 0, left = 0, bottom = 0, right = 0;
};
Ink ink_of(char32_t character, int size);

// A character's pixels: how much of each is covered, 0 to 255, [height, width]. The first one is `top` below and `left`
// right of the pen; `top` is negative for what stands on the baseline. A space has no pixels.
struct Glyph {
  int top = 0, left = 0, height = 0, width = 0;
  std::vector<std::uint8_t> coverage{};
};

// `shift`: where in its pixel the pen is, from 0 to 1. Throws std::bad_alloc.
Glyph rasterise(char32_t character, int size, float shift);

}  // namespace kindred::third_party
