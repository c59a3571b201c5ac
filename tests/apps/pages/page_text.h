// What the tests of pages read out of a page.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kindred::test {

// The text between the first `begin` and the `end` that follows it.
inline std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  const std::size_t to = text.find(end, from + begin.size());
  REQUIRE(to != std::string::npos);
  return text.substr(from + begin.size(), to - from - begin.size());
}

inline std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// Whether the text is UTF-8, by decoding each character and encoding it again.
inline bool is_utf8(const std::string& text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](std::size_t k) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i + k]));
    };
    const std::size_t length = byte(0) < 0x80 ? 1 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
    if (i + length > text.size()) return false;
    std::uint32_t code = length == 1 ? byte(0) : byte(0) & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) code = code * 64 + byte(k) % 64;
    std::string again;
    if (code < 0x80) {
      again = {static_cast<char>(code)};
    } else if (code < 0x800) {
      again = {static_cast<char>(0xc0 + code / 64), static_cast<char>(0x80 + code % 64)};
    } else if (code < 0x10000) {
      again = {static_cast<char>(0xe0 + code / 4096), static_cast<char>(0x80 + code / 64 % 64),
               static_cast<char>(0x80 + code % 64)};
    } else {
      again = {static_cast<char>(0xf0 + code / 262144), static_cast<char>(0x80 + code / 4096 % 64),
               static_cast<char>(0x80 + code / 64 % 64), static_cast<char>(0x80 + code % 64)};
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || text.compare(i, length, again) != 0)
      return false;
    i += length;
  }
  return true;
}

// The bytes of a text in base64.
inline std::string base64_bytes(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::size_t digit = digits.find(c);
    REQUIRE(digit != std::string::npos);
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xffffffu;
    held += 6;
    if (held >= 8) bytes += static_cast<char>(bits >> (held -= 8) & 0xff);
  }
  return bytes;
}

// Names that a page must survive.
inline std::vector<std::string> hostile_names() {
  return {"</script><script>alert(1)</script>",
          "<!-- <script>",
          "\"><img src=x onerror=alert(1)>",
          "' onmouseover='alert(1)",
          "a & b &lt; c",
          "line\u2028separator\u2029",
          std::string("nul\0and\x01\x1f\x7f", 10),
          "tab\tline\nreturn\r",
          "\xff\xfe",
          "\xc0\xaf",          // '/' in too many bytes
          "\xed\xa0\x80",      // a surrogate
          "\xf4\x90\x80\x80",  // beyond the last character
          "cut \xe2\x82",
          "Müller 日本 😀",
          "\u202egnp.exe",
          std::string(300, '<')};
}

}  // namespace kindred::test
