#include <kindred/apps/pages/page.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {
namespace {

// A character of UTF-8 at the beginning of a text. Of bytes that are none: as many as could begin one, at least one.
struct Utf8Start {
  std::size_t bytes = 1;
  bool valid = false;
  std::uint32_t code = 0;
};

// Table 3-7 of the Unicode standard: the range of the second byte excludes longer forms than needed, surrogates, and what is
// beyond U+10FFFF.
Utf8Start utf8_start(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, true, first};
  if (first < 0xc2 || first > 0xf4) return {};
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  unsigned low = 0x80, high = 0xbf;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  std::uint32_t code = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {i, false, 0};
    code = code << 6 | (byte(i) & 0x3fu);
    low = 0x80, high = 0xbf;
  }
  return {length, true, code};
}

std::string_view html_entity(std::uint32_t code) {
  switch (code) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

bool is_html_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string html;
  html.reserve(text.size());
  while (!text.empty()) {
    const Utf8Start start = utf8_start(text);
    if (!start.valid)
      html += "\xef\xbf\xbd";
    else if (is_html_control(start.code))
      html += ' ';
    else if (const std::string_view entity = html_entity(start.code); !entity.empty())
      html += entity;
    else
      html += text.substr(0, start.bytes);
    text.remove_prefix(start.bytes);
  }
  return html;
}

std::string shortened_text(std::string_view text, std::size_t most) {
  std::vector<std::size_t> begins;  // of its letters
  for (std::size_t at = 0; at < text.size(); at += utf8_start(text.substr(at)).bytes) begins.push_back(at);
  if (begins.size() <= most) return std::string(text);
  const std::size_t behind = (most - 1) / 3, before = most - 1 - behind;
  return std::string(text.substr(0, begins[before])) + "…" +
         std::string(text.substr(begins[begins.size() - behind]));
}

std::string name_element(std::string_view name, std::size_t most) {
  const std::string shown = shortened_text(name, most);
  const std::string title = shown == name ? "" : " title=\"" + html_text(name) + "\"";
  return "<span class=\"name\"" + title + ">" + html_text(shown) + "</span>";
}

}  // namespace kindred
