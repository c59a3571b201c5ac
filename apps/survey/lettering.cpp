#include <kindred/apps/survey/lettering.h>
#include <kindred/third_party/stb/font.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

namespace kindred {
namespace {

constexpr const char* ellipsis = "\u2026";

using CodeRange = std::pair<char32_t, char32_t>;  // both included

template <std::size_t n>
bool is_in(const std::array<CodeRange, n>& ranges, char32_t code) {
  return std::ranges::any_of(
      ranges, [&](const CodeRange& range) { return range.first <= code && code <= range.second; });
}

// Characters that only steer others: soft hyphen, joiners, marks of direction, selectors of variants, byte order mark.
bool is_unseen(char32_t code) {
  static constexpr std::array<CodeRange, 7> unseen{{{0xAD, 0xAD},
                                                    {0x200B, 0x200F},
                                                    {0x202A, 0x202E},
                                                    {0x2060, 0x2069},
                                                    {0xFE00, 0xFE0F},
                                                    {0xFEFF, 0xFEFF},
                                                    {0xE0000, 0xE01EF}}};
  return is_in(unseen, code);
}

// Accents that stand on the letter before them: macOS writes "ü" in names of files as u and U+0308.
bool is_accent(char32_t code) {
  static constexpr std::array<CodeRange, 5> accents{
      {{0x300, 0x36F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0xFE20, 0xFE2F}}};
  return is_in(accents, code);
}

struct Sequence {
  char32_t code = 0;
  std::size_t bytes = 1;
};

// The character that the text begins with. Nothing that UTF-8 forbids comes through: overlong forms, surrogates, numbers beyond
// Unicode. Of such bytes only the first one is taken.
Sequence first_sequence(std::string_view text) {
  constexpr Sequence broken{U'\uFFFD', 1};
  const auto lead = static_cast<std::uint8_t>(text.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return broken;
  char32_t code = lead & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<std::uint8_t>(text[i]);
    if ((next & 0xC0) != 0x80) return broken;
    code = code << 6 | (next & 0x3F);
  }
  constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (code < least[bytes] || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF) return broken;
  return {code, bytes};
}

// An accent is centred on its letter, and raised above a tall one.
Letter on_letter(char32_t accent, const Letter& base, int size) {
  const third_party::Ink mark = third_party::ink_of(accent, size),
                         letter = third_party::ink_of(base.code, size);
  Letter placed{accent, base.x + (letter.left + letter.right - mark.left - mark.right) / 2, base.y};
  if (mark.bottom < -third_party::font_extent(size).capitals / 2)  // one of those above
    placed.y += std::min(0.0F, letter.top - mark.bottom);
  return placed;
}

// The bytes where the text may be cut: in front of each character that begins something of its own.
std::vector<std::size_t> cuts_of(std::string_view text) {
  std::vector<std::size_t> cuts;
  for (const Character& character : characters_of(text))
    if (cuts.empty() || (!is_accent(character.code) && !is_unseen(character.code)))
      cuts.push_back(character.begin);
  cuts.push_back(text.size());
  return cuts;
}

}  // namespace

std::vector<Character> characters_of(std::string_view text) {
  std::vector<Character> characters;
  for (std::size_t begin = 0; begin < text.size();) {
    const Sequence sequence = first_sequence(text.substr(begin));
    characters.push_back({sequence.code, begin});
    begin += sequence.bytes;
  }
  return characters;
}

Lettering set_line(std::string_view text, int size) {
  Lettering line;
  std::optional<Letter> base;  // the last letter that is no accent
  for (const Character& character : characters_of(text)) {
    if (is_unseen(character.code)) continue;
    if (base && is_accent(character.code) && third_party::font_has(character.code)) {
      line.letters.push_back(on_letter(character.code, *base, size));
      continue;
    }
    if (base) line.width += third_party::kerning(base->code, character.code, size);
    base = Letter{character.code, line.width, 0};
    line.letters.push_back(*base);
    line.width += third_party::pen_advance(character.code, size);
  }
  return line;
}

std::string fitting_line(const std::string& text, int width, int size) {
  const auto fits = [&](std::string_view line) {
    return std::ceil(set_line(line, size).width) <= static_cast<float>(width);
  };
  if (fits(text)) return text;
  const std::vector<std::size_t> cuts = cuts_of(text);
  const auto keeping = [&](std::size_t kept) {
    return text.substr(0, cuts[kept - kept / 2]) + ellipsis + text.substr(cuts[cuts.size() - 1 - kept / 2]);
  };
  std::size_t kept = 0, too_many = cuts.size() - 1;
  while (kept + 1 < too_many) {
    const std::size_t middle = (kept + too_many) / 2;
    (fits(keeping(middle)) ? kept : too_many) = middle;
  }
  return keeping(kept);
}

}  // namespace kindred
