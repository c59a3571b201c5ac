// stb_image_write and stb_easy_font, as Kindred uses them: PNG files, and letters as rectangles.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kindred::third_party {

// The bytes of a PNG file of [height, width, 3] RGB pixels; empty when memory is short.
std::string encode_png(const std::uint8_t* pixels, int height, int width);

// Calls `fill` for each rectangle that the text consists of, in pixels from the text's corner at the top left,
// at the font's own size: lines of 12 pixels, letters of about 7. Characters other than printable ASCII are
// shown as '?'.
void draw_text(const std::string& text,
               const std::function<void(int top, int left, int height, int width)>& fill);

// Width of the text at that size.
int text_width(const std::string& text);

}  // namespace kindred::third_party
