// stb_image_write and stb_easy_font, as Kindred uses them: PNG files, and text drawn as rectangles.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kindred::third_party {

// Returns a PNG file of [height, width, 3] RGB pixels, or an empty string if there is not enough memory.
std::string encode_png(const std::uint8_t* pixels, int height, int width);

// Calls `fill` for each rectangle that the text consists of. Coordinates are pixels from the top left corner of
// the text, at the font's own size: lines of 12 pixels, letters about 7 wide. Characters other than printable
// ASCII are shown as '?'.
void draw_text(const std::string& text,
               const std::function<void(int top, int left, int height, int width)>& fill);

// The width of the text at that size.
int text_width(const std::string& text);

}  // namespace kindred::third_party
