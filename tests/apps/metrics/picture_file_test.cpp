// JPEG files with a text, and whatever else lies in their place.
#include "../../engine/temporary_folder.h"

#include <kindred/apps/metrics/picture_file.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>

namespace kindred {
namespace {

// Random pixels, so that every height and width has other bytes.
Image random_picture(int height, int width) {
  RandomStream random(3, Purpose::test, static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width));
  Image image(height, width);
  for (std::uint8_t& value : image.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}
std::string random_jpeg(int height, int width) {
  const std::vector<std::uint8_t> bytes = encode_jpeg(random_picture(height, width), 75);
  return std::string(bytes.begin(), bytes.end());
}
Image pixels_of_jpeg(const std::string& file) {
  return decode_image({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}).image;
}

TEST_CASE("picture files: a text goes into a JPEG and comes out, and its pixels stay") {
  const TemporaryFolder folder;
  for (const auto& [height, width] : {std::pair(1, 1), std::pair(300, 7), std::pair(64, 257)}) {
    const std::string jpeg = random_jpeg(height, width);
    for (const std::string& text :
         {std::string(), std::string("two\nlines, and \0 a zero", 24), std::string(60'000, 'x')}) {
      const std::string file = with_text(jpeg, text);
      write_bytes(folder / "p.jpg", file);
      const auto read = read_picture(folder / "p.jpg");
      REQUIRE(read);
      CHECK(read->height == height);
      CHECK(read->width == width);
      CHECK(read->text == text);
      CHECK(read->jpeg == file);
      CHECK(pixels_of_jpeg(file).pixels == pixels_of_jpeg(jpeg).pixels);
    }
    write_bytes(folder / "p.jpg", with_text(jpeg, std::string(100'000, 'y')));
    const auto longest = read_picture(folder / "p.jpg");
    REQUIRE(longest);
    CHECK(longest->text == std::string(60'000, 'y'));
  }
}

TEST_CASE("picture files: bytes that are no JPEG in colour, or too many, are no picture") {
  const TemporaryFolder folder;
  const std::string jpeg = with_text(random_jpeg(20, 30), "text");
  const auto is_picture = [&](const std::string& bytes) {
    write_bytes(folder / "p.jpg", bytes);
    return read_picture(folder / "p.jpg").has_value();
  };
  CHECK(is_picture(jpeg));
  CHECK_FALSE(read_picture(folder / "none.jpg"));
  for (const std::string& bytes :
       {std::string(), std::string("\xff\xd8"), std::string("\xff\xd8\xff\xc0\0\0", 6),
        std::string("\xff\xd8\xff\xfe\xff\xff", 6), std::string("the user's")})
    CHECK_FALSE(is_picture(bytes));
  CHECK(is_picture(jpeg + std::string(most_picture_bytes - jpeg.size(), 'z')));
  CHECK_FALSE(is_picture(jpeg + std::string(most_picture_bytes - jpeg.size() + 1, 'z')));
  // One component: gray.
  std::string gray = jpeg;
  const std::size_t size_header = gray.find("\xff\xc0");
  REQUIRE(size_header != std::string::npos);
  gray[size_header + 9] = 1;
  CHECK_FALSE(is_picture(gray));
  // Cut off and changed at every place: read or refused, but nothing outside of the bytes is looked at.
  std::size_t refused = 0;
  for (std::size_t at = 0; at < size_header + 12; ++at) {
    refused += is_picture(jpeg.substr(0, at)) ? 0 : 1;
    std::string changed = jpeg;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    is_picture(changed);
  }
  CHECK(refused > size_header);
}

}  // namespace
}  // namespace kindred
