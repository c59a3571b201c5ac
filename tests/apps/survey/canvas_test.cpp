// Text and shapes on a canvas: what is drawn, and where.
#include <doctest/doctest.h>

#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/lettering.h>
#include <kindred/third_party/stb/font.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <string>

namespace kindred {
namespace {

// A build without the font draws letters of a few pixels, to which some of this does not apply.
bool has_outlines() {
  if (!third_party::font_has_outlines()) MESSAGE("this build has no font: fonts-dejavu-core is missing");
  return third_party::font_has_outlines();
}

// How much a pixel was darkened, 0 to 255.
int ink_at(const Canvas& canvas, int y, int x) {
  return 255 - canvas.image().pixel(y, x)[1];
}

double ink_in(const Canvas& canvas, int top, int left, int bottom, int right) {
  double sum = 0;
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) sum += ink_at(canvas, y, x);
  return sum / 255;
}

double all_ink(const Canvas& canvas) {
  return ink_in(canvas, 0, 0, canvas.height(), canvas.width());
}

constexpr Color solid{0, 0, 0};

Canvas written(const std::string& text, int size) {
  Canvas canvas(4 * size, 20 + Canvas::written_width(text, size));
  canvas.write(2 * size, 10, text, {.size = size, .color = solid});
  return canvas;
}

// The plain definition of UTF-8.
std::string encoded(char32_t code) {
  const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 63))};
  if (code < 0x10000) return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63))};
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 63)), byte(0x80 | (code >> 6 & 63)),
          byte(0x80 | (code & 63))};
}

char32_t random_code(std::mt19937& random) {
  const auto between = [&](unsigned first, unsigned count) {
    return static_cast<char32_t>(first + random() % count);
  };
  switch (random() % 6) {
    case 0:
      return between(0x20, 0x5F);
    case 1:
      return between(0xC0, 0x100);
    case 2:
      return between(0x300, 0x70);  // accents
    case 3:
      return between(0x4E00, 0x5000);
    case 4:
      return between(0x1F300, 0x300);
    default:
      return between('a', 26);
  }
}

std::string random_text(std::mt19937& random, std::size_t characters) {
  std::string text;
  for (std::size_t i = 0; i < characters; ++i) text += encoded(random_code(random));
  return text;
}

TEST_CASE("canvas: UTF-8 is decoded, and bytes that are none become one sign each") {
  std::mt19937 random(11);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::u32string codes;
    std::string text;
    for (int i = 0; i < 12; ++i) {
      codes += random_code(random);
      text += encoded(codes.back());
    }
    std::u32string decoded;
    for (const Character& character : characters_of(text)) {
      REQUIRE(text.compare(character.begin, encoded(character.code).size(), encoded(character.code)) == 0);
      decoded += character.code;
    }
    REQUIRE(decoded == codes);
  }
  // Overlong, a surrogate, beyond Unicode, cut off, a byte that only continues.
  for (const char* bad : {"\xC0\x80", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98",
                          "\xC3", "\x80", "\xFF"}) {
    const std::vector<Character> characters = characters_of(bad);
    CHECK(characters.size() == std::string(bad).size());
    for (const Character& character : characters) CHECK(character.code == U'\uFFFD');
  }
  const std::vector<Character> mixed = characters_of("a\xFFü");
  REQUIRE(mixed.size() == 3);
  CHECK(mixed[1].code == U'\uFFFD');
  CHECK(mixed[2].code == U'ü');
}

TEST_CASE("canvas: the width of a text grows with its letters and its size") {
  std::mt19937 random(3);
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += static_cast<char>('A' + random() % 58);
    for (const int size : {9, 13, 20}) {
      const int half = Canvas::written_width(text.substr(0, 15), size);
      const int rest = Canvas::written_width(text.substr(15), size), whole = Canvas::written_width(text, size);
      CHECK(std::abs(half + rest - whole) <= 2 + size / 3);  // two roundings, and one pair's kerning
      CHECK(half > 15 * size / 5);
      for (std::size_t letters = 1; letters < text.size(); ++letters)
        CHECK(Canvas::written_width(text.substr(0, letters + 1), size) >=
              Canvas::written_width(text.substr(0, letters), size) - size / 4);
    }
    CHECK(Canvas::text_width(text, 1) < Canvas::text_width(text, 2));
    CHECK(Canvas::text_width(text, 2) < Canvas::text_width(text, 3));
  }
  CHECK(Canvas::text_width("") == 0);
  if (has_outlines()) CHECK(Canvas::written_width("www", 20) > Canvas::written_width("iii", 20) * 2);
}

TEST_CASE("canvas: w is not u, and ü is u with two dots, however it is written") {
  if (!has_outlines()) return;
  for (const int size : {11, 13, 16, 22}) {
    const Canvas w = written("w", size), u = written("u", size), dotted = written("ü", size),
                 apart = written("u\u0308", size);
    CHECK(w.width() > u.width());
    REQUIRE(u.width() == dotted.width());
    REQUIRE(u.width() == apart.width());
    // The baseline lies half the capitals below the middle, and u is 0.56 em high.
    const double baseline = 2 * size + std::round(third_party::font_extent(size).capitals / 2);
    const int dots_below = static_cast<int>(std::floor(baseline - 0.6 * size));
    CHECK(ink_in(u, 0, 0, dots_below, u.width()) == 0);
    CHECK(ink_in(dotted, 0, 0, dots_below, u.width()) > 1);
    CHECK(ink_in(apart, 0, 0, dots_below, u.width()) ==
          doctest::Approx(ink_in(dotted, 0, 0, dots_below, u.width())).epsilon(0.3));
    CHECK(ink_in(dotted, dots_below + 1, 0, 4 * size, u.width()) ==
          doctest::Approx(ink_in(u, dots_below + 1, 0, 4 * size, u.width())).epsilon(0.02));
  }
}

TEST_CASE("canvas: a letter's pixels lie in its rectangle, and a text's between its ends") {
  std::mt19937 random(5);
  for (int repeat = 0; repeat < 300; ++repeat) {
    const char32_t code = random_code(random);
    const int size = 8 + static_cast<int>(random() % 40);
    const auto shift = static_cast<float>(random() % 4) / 4;
    CAPTURE(static_cast<unsigned>(code));
    CAPTURE(size);
    const third_party::Glyph glyph = third_party::rasterise(code, size, shift);
    REQUIRE(glyph.coverage.size() == static_cast<std::size_t>(glyph.height * glyph.width));
    const third_party::Ink ink = third_party::ink_of(code, size);
    if (glyph.coverage.empty()) continue;
    CHECK(std::ranges::max(glyph.coverage) > 0);
    if (!third_party::font_has_outlines()) continue;
    CHECK(static_cast<float>(glyph.top) <= ink.top + 0.01F);
    CHECK(static_cast<float>(glyph.top + glyph.height) >= ink.bottom - 0.01F);
    CHECK(static_cast<float>(glyph.left) <= ink.left + shift + 0.01F);
    CHECK(static_cast<float>(glyph.left + glyph.width) >= ink.right + shift - 0.01F);
    CHECK(glyph.height <= std::ceil(ink.bottom - ink.top) + 1);
    CHECK(glyph.width <= std::ceil(ink.right - ink.left) + 1);
  }
  for (const std::string text : {"Hamburg", "1,281,167", "漢字 😀", "ÄÖÜ"}) {
    const int width = Canvas::written_width(text, 16);
    for (const Align align : {Align::left, Align::centre, Align::right}) {
      Canvas canvas(60, 400);
      canvas.write(30, 200, text, {.size = 16, .color = solid, .align = align});
      const int left = align == Align::left ? 200 : align == Align::right ? 200 - width : 200 - width / 2;
      CHECK(all_ink(canvas) > 20);
      CHECK(ink_in(canvas, 0, 0, 60, left - 3) == 0);
      CHECK(ink_in(canvas, 0, left + width + 3, 60, 400) == 0);
      CHECK(ink_in(canvas, 0, 0, 12, 400) == 0);
      CHECK(ink_in(canvas, 48, 0, 60, 400) == 0);
      Canvas turned(400, 60);
      turned.write(200, 30, text, {.size = 16, .color = solid, .align = align, .upwards = true});
      CHECK(all_ink(turned) == doctest::Approx(all_ink(canvas)));
      CHECK(ink_in(turned, 400 - left + 3, 0, 400, 60) == 0);
      for (int y = 0; y < 60; ++y)
        for (int x = 0; x < 400; ++x) REQUIRE(ink_at(canvas, y, x) == ink_at(turned, 399 - x, y));
    }
  }
}

TEST_CASE("canvas: what the font lacks is a box, and steering characters take no room") {
  if (!has_outlines()) return;
  CHECK_FALSE(third_party::font_has(U'漢'));
  CHECK(third_party::font_has(U'ü'));
  CHECK(all_ink(written("漢", 16)) == doctest::Approx(all_ink(written("字", 16))));
  CHECK(Canvas::written_width("漢字", 16) >= 2 * Canvas::written_width("漢", 16) - 1);
  CHECK(Canvas::written_width("a\u200D\uFE0F\u00ADb", 16) == Canvas::written_width("ab", 16));
}

TEST_CASE("canvas: a shortened text keeps to its width and to whole characters") {
  std::mt19937 random(8);
  const std::string dots = "\u2026";
  for (int repeat = 0; repeat < 300; ++repeat) {
    const std::string text = random_text(random, 1 + random() % 120);
    const int scale = 1 + static_cast<int>(random() % 3), width = 20 + static_cast<int>(random() % 300);
    const std::string fitted = Canvas::fitting(text, width, scale);
    CAPTURE(text);
    CAPTURE(fitted);
    if (Canvas::text_width(text, scale) <= width) {
      REQUIRE(fitted == text);
      continue;
    }
    const bool only_dots = fitted == dots;
    REQUIRE((only_dots || Canvas::text_width(fitted, scale) <= width));
    for (const Character& character : characters_of(fitted)) REQUIRE(character.code != U'\uFFFD');
    const std::size_t at = fitted.find(dots);
    REQUIRE(at != std::string::npos);
    const std::string end = fitted.substr(at + dots.size());
    REQUIRE(text.starts_with(fitted.substr(0, at)));
    REQUIRE(text.ends_with(end));
    if (!end.empty()) {  // an accent does not stand alone
      const char32_t first = characters_of(end).front().code;
      REQUIRE((first < 0x300 || first > 0x36F));
    }
    // Nothing is given away: about as much as fits is kept.
    const int widest = Canvas::text_size(scale) * 6;  // a few characters of one em, with their accents
    if (!only_dots) REQUIRE(Canvas::text_width(fitted, scale) > width - widest);
  }
  CHECK(Canvas::fitting(std::string(300, 'n'), 100).size() > 5);
}

TEST_CASE("canvas: circles and lines have the area that geometry says, wherever they lie") {
  std::mt19937 random(13);
  std::uniform_real_distribution<double> place(30, 70), size(1.5, 20);
  const Color full{0, 0, 0};
  const auto covered =
      [](const Canvas& canvas) {  // blending is not linear in the value: count a half-covered pixel as half
        double sum = 0;
        for (int y = 0; y < canvas.height(); ++y)
          for (int x = 0; x < canvas.width(); ++x)
            sum += 1 - std::pow(canvas.image().pixel(y, x)[0] / 255.0, 1.4);
        return sum;
      };
  for (int repeat = 0; repeat < 30; ++repeat) {
    const double radius = size(random);
    Canvas circle(100, 100);
    circle.dot({place(random), place(random)}, radius, full);
    CHECK(covered(circle) == doctest::Approx(std::numbers::pi * radius * radius).epsilon(0.08));
    const PointOnCanvas from{place(random), place(random)}, to{place(random), place(random)};
    const double length = std::hypot(to.y - from.y, to.x - from.x), thickness = size(random) / 3 + 1;
    Canvas stroke(100, 100);
    stroke.line({from, to}, thickness, full);
    const double ends = std::numbers::pi * thickness * thickness / 4;
    CHECK(covered(stroke) == doctest::Approx(length * thickness + ends).epsilon(0.08));
  }
  Canvas canvas(20, 20);
  const double nan = std::numeric_limits<double>::quiet_NaN(), far = 1e300;
  canvas.dot({nan, 3}, 4, full);
  canvas.dot({far, far}, 4, full);
  canvas.dot({5, 5}, nan, full);
  canvas.line({{nan, 1}, {5, 5}}, 2, full);
  canvas.line({{-far, -far}, {-far, -far}}, 2, full);
  CHECK(all_ink(canvas) == 0);
  canvas.dot({-3, 10}, 5, full);
  CHECK(all_ink(canvas) > 1);
}

TEST_CASE("canvas: what hangs over an edge is cut off") {
  Canvas canvas(10, 10);
  Image picture(4, 4);
  std::ranges::fill(picture.pixels, std::uint8_t{7});
  canvas.paste(-2, -3, picture);
  canvas.paste(8, 9, picture);
  CHECK(all_ink(canvas) == doctest::Approx((2 * 1 + 2 * 1) * 248 / 255.0));
  canvas.fill(-5, -5, 100, 100, {0, 0, 0});
  CHECK(all_ink(canvas) == 100);
  canvas.write(-3, -20, "outside of it", {.size = 16});
  canvas.write(5, 8, "outside of it", {.size = 16, .upwards = true});
}

}  // namespace
}  // namespace kindred
