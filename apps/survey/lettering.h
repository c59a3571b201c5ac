// Lines of text as a font sets them: UTF-8 to characters, and where each of them stands.
//
// Left to right, without the joined forms of Arabic or of India's scripts. What the font lacks (Chinese, emoji) is one box a
// character; characters that only steer others (joiners, selectors) are left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct Character {
  char32_t code = 0;      // U+FFFD for bytes that are not UTF-8
  std::size_t begin = 0;  // its first byte
};
std::vector<Character> characters_of(std::string_view text);

struct Letter {
  char32_t code = 0;
  float x = 0, y = 0;  // where the pen stands, in pixels from the beginning of the baseline; y downwards
};

struct Lettering {
  std::vector<Letter> letters{};
  float width = 0;
};

// `size`: pixels per em, at least 1.
Lettering set_line(std::string_view text, int size);

// The text, shortened to at most `width` pixels by an ellipsis in its middle if that is necessary. An accent stays with its
// letter. Where nothing else fits the ellipsis is left, whatever its width.
std::string fitting_line(const std::string& text, int width, int size);

}  // namespace kindred
