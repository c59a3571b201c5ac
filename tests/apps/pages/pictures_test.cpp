// Pictures in pages: their bytes, and how a gallery frames and names them.
#include "../../errors.h"
#include "page_text.h"

#include <kindred/apps/pages/pictures.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/shrink.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace kindred {
namespace {

using test::base64_bytes;
using test::count_of;

Image flat_image(int height, int width, std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  Image image(height, width);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = i % 3 == 0 ? red : i % 3 == 1 ? green : blue;
  return image;
}

TEST_CASE("pages: base64 is RFC 4648's") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\0\xff\xfe\xfb", 4)) == "AP/++w==");
  std::mt19937 dice(1);
  for (std::size_t length = 0; length < 100; ++length) {
    std::string bytes(length, '\0');
    for (char& b : bytes) b = static_cast<char>(dice() % 256);
    CHECK(base64_bytes(base64(bytes)) == bytes);
  }
}

TEST_CASE("pages: a picture's URI holds a JPEG of it") {
  const std::string uri = jpeg_uri(flat_image(17, 33, 200, 30, 90));
  const std::string head = "data:image/jpeg;base64,";
  REQUIRE(uri.starts_with(head));
  const std::string bytes = base64_bytes(uri.substr(head.size()));
  const Decoded decoded = decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  REQUIRE(decoded.outcome == Outcome::ok);
  CHECK(decoded.image.height == 17);
  CHECK(decoded.image.width == 33);
  const std::uint8_t* middle = decoded.image.pixel(8, 16);
  CHECK(std::abs(middle[0] - 200) <= 4);  // JPEG's rounding
  CHECK(std::abs(middle[1] - 30) <= 4);
  CHECK(std::abs(middle[2] - 90) <= 4);
  CHECK(jpeg_uri(flat_image(17, 33, 200, 30, 90), 20).size() <= uri.size());
  CHECK(test::code_of([] { jpeg_uri(Image()); }) == ExitCode::internal);
}

TEST_CASE("pages: an atlas has its pictures row by row, shrunk and in the middle of grey") {
  std::mt19937 dice(2);
  constexpr int side = 8, columns = 3;
  std::vector<Image> pictures;
  for (int i = 0; i < 7; ++i) {
    Image image(1 + static_cast<int>(dice() % 20), 1 + static_cast<int>(dice() % 20));
    for (std::uint8_t& v : image.pixels) v = static_cast<std::uint8_t>(dice() % 256);
    pictures.push_back(i == 4 ? Image() : image);
  }
  const Image sheet = atlas(pictures, side, columns);
  REQUIRE(sheet.height == 3 * side);
  REQUIRE(sheet.width == columns * side);
  for (int i = 0; i < 9; ++i) {
    const Image small = i < 7 && i != 4 ? shrink_to(pictures[static_cast<std::size_t>(i)], side) : Image();
    const int above = (side - small.height) / 2, before = (side - small.width) / 2;
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const bool inside = y >= above && y < above + small.height && x >= before && x < before + small.width;
        const std::uint8_t* pixel = sheet.pixel(i / columns * side + y, i % columns * side + x);
        for (int c = 0; c < 3; ++c)
          REQUIRE(int(pixel[c]) == (inside ? int(small.pixel(y - above, x - before)[c]) : 128));
      }
  }
  CHECK(atlas({}, side, columns).empty());
  CHECK(atlas({pictures[0]}, side, columns).width == columns * side);
  CHECK(test::code_of([] { atlas({}, 0, 1); }) == ExitCode::internal);
}

TEST_CASE("pages: a gallery says right and wrong by a mark and a word, not by colour alone") {
  std::vector<GalleryPicture> pictures(4);
  pictures[0] = {.image = flat_image(4, 4, 1, 2, 3), .name = "query.jpg"};
  pictures[1] = {.image = flat_image(4, 4, 1, 2, 3),
                 .name = "train/dog/1.jpg",
                 .note = "dog, 0.93",
                 .verdict = Verdict::right,
                 .group = "nearest in train"};
  pictures[2] = {.name = "2.jpg", .note = "cat, 0.91", .verdict = Verdict::wrong};
  pictures[3] = {.name = "3.jpg", .verdict = Verdict::wrong, .group = "nearest in val"};
  const std::string html = gallery(pictures, 70);
  CHECK(html.starts_with("<div class=\"gallery\" style=\"--side:70px\">"));
  CHECK(count_of(html, "<figure") == 4);
  CHECK(count_of(html, "<figure class=\"picture\">") == 1);
  CHECK(count_of(html, "<figure class=\"picture right\">") == 1);
  CHECK(count_of(html, "<figure class=\"picture wrong\">") == 2);
  CHECK(count_of(html, "✓") == 1);
  CHECK(count_of(html, "✗") == 2);
  CHECK(count_of(html, "right: ") == 1);
  CHECK(count_of(html, "wrong: ") == 2);
  CHECK(count_of(html, "<img ") == 2);
  CHECK(count_of(html, "no-picture") == 2);
  CHECK(count_of(html, "<div class=\"group\">") == 3);
  CHECK(count_of(html, "<p class=\"group-name\">nearest in train</p>") == 1);
  CHECK(count_of(html, "title=\"train/dog/1.jpg\">1.jpg</span>") == 1);
  CHECK(count_of(html, "<div") == count_of(html, "</div>"));
  CHECK(gallery({}) == "<div class=\"gallery\" style=\"--side:96px\">\n</div>\n");
  const std::string long_group(700, 'g');
  const std::string of_long = gallery({{.name = "1.jpg", .group = long_group}});
  CHECK(count_of(of_long, "<p class=\"group-name\" title=\"" + long_group + "\">ggg") == 1);
  CHECK(of_long.size() < 700 + 600);
}

TEST_CASE("pages: names and notes in a gallery cannot write HTML") {
  for (const std::string& name : test::hostile_names()) {
    CAPTURE(name);
    const std::string html = gallery({{.name = name, .note = name, .verdict = Verdict::right, .group = name}});
    CHECK(test::is_utf8(html));
    CHECK(html.find("<script") == std::string::npos);
    CHECK(html.find("<img") == std::string::npos);
    // A long heading has a title, and so two quotes more.
    const std::string group(count_of(html, "\"group-name\" title=") > 0 ? 200 : 1, 'n');
    const std::string plain = gallery({{.name = "n", .note = "n", .verdict = Verdict::right, .group = group}});
    CHECK(count_of(html, "<") == count_of(plain, "<"));
    CHECK(count_of(html, "\"") == count_of(plain, "\""));
  }
}

}  // namespace
}  // namespace kindred
