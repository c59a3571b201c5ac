// PNG files of every kind against pixels that are computed here, and damaged ones. Pillow's files are in tests/golden.
#include "../images/poisoned.h"
#include "png_writer.h"

#include <doctest/doctest.h>
#include <kindred/engine/random/philox.h>

#include <string>
#include <utility>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace {

// Random samples of every level; of a palette as many colours as its depth allows.
PngPicture random_picture(int colour, int bits, int height, int width, RandomStream& random) {
  PngPicture picture{.height = height, .width = width, .bits = bits, .colour = colour};
  if (colour == 3)
    for (int i = 0; i < 3 << bits; ++i) picture.palette.push_back(static_cast<std::uint8_t>(random.below(256)));
  const std::size_t count = std::size_t(height) * std::size_t(width) * picture.channels();
  for (std::size_t i = 0; i < count; ++i)
    picture.samples.push_back(static_cast<std::uint16_t>(random.below(1u << bits)));
  return picture;
}

Bytes expected_pixels(const PngPicture& picture) {
  Bytes rgb;
  for (std::size_t y = 0; y < static_cast<std::size_t>(picture.height); ++y)
    for (std::size_t x = 0; x < static_cast<std::size_t>(picture.width); ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        const bool coloured = picture.colour == 2 || picture.colour == 6;
        const unsigned sample = picture.sample(y, x, coloured ? c : 0);
        const unsigned scale[] = {0, 255, 85, 0, 17, 0, 0, 0, 1};
        rgb.push_back(picture.colour == 3  ? picture.palette[3 * sample + c]
                      : picture.bits == 16 ? static_cast<std::uint8_t>(sample >> 8)
                                           : static_cast<std::uint8_t>(sample * scale[picture.bits]));
      }
  return rgb;
}

void check_picture(const PngPicture& picture, const Bytes& file) {
  const PoisonedDecoding decoding = decode_poisoned(file);
  CHECK(decoding.picture.reason == "");
  CHECK(decoding.picture.outcome == Outcome::ok);
  CHECK(decoding.is_all_written);
  CHECK(decoding.picture.image.height == picture.height);
  CHECK(decoding.picture.image.pixels == expected_pixels(picture));
}

std::string why(const Bytes& file) {
  return decode_image(file).reason;
}

// 2 x 2 pixels of RGB: the rows 1 2 3, 4 5 6 and 7 8 9, 10 11 12.
PngPicture small() {
  PngPicture picture{.height = 2, .width = 2};
  for (std::uint16_t level = 1; level <= 12; ++level) picture.samples.push_back(level);
  return picture;
}

const Bytes small_pixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

// small() with a chunk behind the header.
Bytes with_chunk(const Bytes& chunk) {
  return joined({png_magic, png_chunk("IHDR", png_header(small())), chunk,
                 png_chunk("IDAT", zlib_stream(filtered_rows(small()))), png_chunk("IEND", {})});
}

constexpr std::pair<int, int> kinds[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                                         {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

}  // namespace

TEST_CASE("PNG: every colour type, depth, filter and interlacing") {
  RandomStream random(1, Purpose::augment, 3);
  constexpr std::pair<int, int> sizes[] = {{1, 1}, {3, 2}, {5, 9}, {17, 33}};
  const std::vector<std::vector<int>> orders{{0}, {1}, {2}, {3}, {4}, {4, 1, 0, 3, 2, 4, 4, 3}};
  for (const auto& [colour, bits] : kinds)
    for (const bool interlaced : {false, true})
      for (const auto& [height, width] : sizes)
        for (const std::vector<int>& filters : orders) {
          PngPicture picture = random_picture(colour, bits, height, width, random);
          picture.interlaced = interlaced;
          picture.filters = filters;
          CAPTURE(colour);
          CAPTURE(bits);
          CAPTURE(interlaced);
          CAPTURE(width);
          CAPTURE(filters.front());
          check_picture(picture, png_file(picture));
        }
}

TEST_CASE("PNG: pixels by hand") {
  CHECK(decode_image(png_file(small())).image.pixels == small_pixels);
  PngPicture gray{.height = 1, .width = 5, .bits = 2, .colour = 0, .samples = {0, 1, 2, 3, 1}};
  CHECK(decode_image(png_file(gray)).image.pixels ==
        Bytes{0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255, 85, 85, 85});
  PngPicture deep{.height = 1, .width = 1, .bits = 16, .colour = 6, .samples = {0x12FF, 0x3400, 0xFFFF, 0}};
  CHECK(decode_image(png_file(deep)).image.pixels == Bytes{0x12, 0x34, 0xFF});
}

TEST_CASE("PNG: the data may lie in any number of chunks") {
  RandomStream random(1, Purpose::augment, 4);
  PngPicture picture = random_picture(2, 8, 20, 30, random);
  picture.filters = {4, 3};
  const Bytes stream = zlib_stream(filtered_rows(picture));
  for (const std::size_t piece : {1u, 2u, 7u, 100u, 1000000u}) {
    CAPTURE(piece);
    check_picture(picture, png_file(picture, stream, piece));
  }
}

TEST_CASE("PNG: one decoder for pictures of all sizes and kinds, one after the other") {
  RandomStream random(1, Purpose::augment, 5);
  Decoder decoder;
  Decoded out;
  for (const int side : {40, 3, 64, 1, 17})
    for (const auto& [colour, bits] : kinds) {
      PngPicture picture = random_picture(colour, bits, side, side, random);
      picture.filters = {3, 4, 1};
      picture.interlaced = side == 17;
      const Bytes file = png_file(picture);
      REQUIRE(decoder.open(file).ok());
      decoder.decode_whole(out);
      CHECK(out.image.pixels == expected_pixels(picture));
    }
}

TEST_CASE("PNG: chunks that may be skipped are, whatever is in them") {
  Bytes broken = png_chunk("tEXt", {1, 2, 3});
  broken.back() ^= 1;  // its checksum
  for (const Bytes& chunk : {png_chunk("acTL", Bytes(8)), png_chunk("fdAT", Bytes(20)),
                             png_chunk("tRNS", Bytes(6)), png_chunk("PLTE", Bytes(9)), broken})
    CHECK(decode_image(with_chunk(chunk)).image.pixels == small_pixels);
}

TEST_CASE("PNG: damaged headers and chunks are refused with the reason") {
  const Bytes good = png_file(small());
  CHECK(why(with_chunk(png_chunk("ABCD", {}))) ==
        "damaged PNG: it has a chunk of an unknown kind that must not be skipped");
  CHECK(why(with_chunk(png_chunk("IHDR", png_header(small())))) == "damaged PNG: it has two header chunks");
  CHECK(why(with_chunk(png_chunk("PLTE", Bytes(10)))) == "damaged PNG: its palette has 10 bytes");
  CHECK(why(with_chunk(png_chunk("PLTE", Bytes(771)))) == "damaged PNG: its palette has 771 bytes");
  CHECK(why(joined({png_magic, png_chunk("IHDR", png_header(small())), png_chunk("IEND", {})})) ==
        "damaged PNG: it has no pixels");
  CHECK(why(joined({png_magic, png_chunk("IEND", {})})) ==
        "damaged PNG: it does not begin with a header chunk");
  Bytes cut = good;
  cut.resize(cut.size() - 12);
  CHECK(why(cut) == "truncated PNG: all pixels are there, but no IEND chunk");
  cut.resize(cut.size() - 1);
  CHECK(why(cut) == "truncated PNG: a chunk is longer than the rest of the file");
  Bytes flipped = good;
  flipped[45] ^= 1;  // in the data
  CHECK(why(flipped) == "damaged PNG: a checksum does not match");
  PngPicture strange = small();
  strange.bits = 4;
  CHECK(why(png_file(strange)) == "damaged PNG: its header asks for colours of type 2 with 4 bits");
  strange.bits = 8;
  strange.colour = 5;
  CHECK(why(png_file(strange)) == "damaged PNG: its header asks for colours of type 5 with 8 bits");
  for (const std::size_t field : {10u, 11u, 12u}) {
    Bytes header = png_header(small());
    header[field] = 2;
    CHECK(why(joined({png_magic, png_chunk("IHDR", header), png_chunk("IDAT", {1}), png_chunk("IEND", {})})) ==
          "damaged PNG: its header asks for an unknown compression, filter or interlacing");
  }
  PngPicture without{.height = 1, .width = 1, .colour = 3, .samples = {0}};
  CHECK(why(png_file(without)) == "damaged PNG: it has no palette before its pixels");
}

TEST_CASE(
    "PNG: a file that ends behind its pixels, without its IEND chunk, is damaged, and rejected if pixels "
    "lack") {
  const Bytes good = png_file(small());
  const auto outcome_of = [&](const Bytes& file, Outcome outcome, const std::string& reason) {
    CAPTURE(file.size());
    const Decoded decoded = decode_image(file);
    CHECK(decoded.outcome == outcome);
    CHECK(decoded.reason == reason);
    CHECK(decoded.image.pixels == (outcome == Outcome::rejected ? Bytes() : small_pixels));
  };
  const std::string behind = "truncated PNG: all pixels are there, but no IEND chunk";
  outcome_of(good, Outcome::ok, "");
  for (std::size_t missing = 1; missing <= 12; ++missing)
    outcome_of(Bytes(good.begin(), good.end() - static_cast<std::ptrdiff_t>(missing)), Outcome::damaged,
               behind);
  const Bytes text = png_chunk("tEXt", Bytes(20));  // which may be skipped, also if it is cut
  Bytes with_text(good.begin(), good.end() - 12);
  with_text.insert(with_text.end(), text.begin(), text.end() - 5);
  outcome_of(with_text, Outcome::damaged, behind);

  // The data in two chunks, and the second one is missing: its end, or all of it.
  const Bytes stream = zlib_stream(filtered_rows(small()));
  const auto half = stream.begin() + static_cast<std::ptrdiff_t>(stream.size() / 2);
  const Bytes header = png_chunk("IHDR", png_header(small())),
              first = png_chunk("IDAT", Bytes(stream.begin(), half));
  const Bytes second = png_chunk("IDAT", Bytes(half, stream.end()));
  outcome_of(joined({png_magic, header, first, second}), Outcome::damaged, behind);
  outcome_of(joined({png_magic, header, first, Bytes(second.begin(), second.end() - 1)}), Outcome::rejected,
             "truncated PNG: a chunk is longer than the rest of the file");
  for (const std::size_t rest : {0u, 1u, 11u})
    outcome_of(joined({png_magic, header, first,
                       Bytes(second.begin(), second.begin() + static_cast<std::ptrdiff_t>(rest))}),
               Outcome::rejected, "truncated PNG: the file ends before all pixels are there");
  outcome_of(joined({png_magic, header}), Outcome::rejected, "truncated PNG: the file ends before its pixels");
}

TEST_CASE("PNG: a colour that the palette lacks is black, and the picture damaged") {
  PngPicture picture{.height = 1, .width = 3, .colour = 3, .palette = {9, 8, 7, 6, 5, 4}, .samples = {1, 2, 0}};
  const PoisonedDecoding decoding = decode_poisoned(png_file(picture));
  CHECK(decoding.picture.outcome == Outcome::damaged);
  CHECK(decoding.picture.reason == "damaged PNG: a pixel's colour is not in its palette");
  CHECK(decoding.picture.image.pixels == Bytes{6, 5, 4, 0, 0, 0, 9, 8, 7});
  CHECK(decoding.is_all_written);
}

TEST_CASE("PNG: compressed data that are wrong, too short or too long") {
  const std::string unreadable = "damaged PNG: its compressed data cannot be read, or end too early";
  const PngPicture picture = small();
  const Bytes rows = filtered_rows(picture), stream = zlib_stream(rows);
  for (const std::size_t at : {0u, 1u}) {  // the header
    Bytes wrong = stream;
    wrong[at] ^= 1;
    CHECK(why(png_file(picture, wrong)) == unreadable);
  }
  for (std::size_t length = 1; length + 4 < stream.size(); ++length)  // the last four bytes are a checksum
    CHECK(why(png_file(picture, Bytes(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(length)))) ==
          unreadable);
  CHECK(why(png_file(picture, zlib_stream(Bytes(rows.begin(), rows.end() - 1)))) == unreadable);
  // More than the picture needs is left: some writers put zeros behind the pixels.
  Bytes longer = rows;
  longer.resize(rows.size() + 1000);
  CHECK(decode_image(png_file(picture, zlib_stream(longer))).image.pixels == small_pixels);
  Bytes behind = stream;
  behind.resize(stream.size() + 50, 0x55);
  CHECK(decode_image(png_file(picture, behind)).image.pixels == small_pixels);
  Bytes filter = rows;
  filter[0] = 5;
  CHECK(why(png_file(picture, zlib_stream(filter))) == "damaged PNG: a row has the unknown filter 5");
}

TEST_CASE("PNG: a small file that inflates to 16 MB gives no more than its picture") {
  Bytes rows = filtered_rows(small());
  rows.resize(std::size_t{16} << 20);
  const Bytes bomb = png_file(small(), zlib_stream(rows));
  CHECK(bomb.size() < 100000);
  CHECK(decode_image(bomb).image.pixels == small_pixels);
}

TEST_CASE(
    "PNG: a header that claims more pixels than the data can hold is refused before anything is allocated") {
  PngPicture large{.height = 10000, .width = 12000};
  const Bytes file = png_file(large, zlib_stream(Bytes(100000)));
  CHECK(probe_image(file).reason.starts_with("truncated PNG: "));
  CHECK(probe_image(file).reason.ends_with(" bytes cannot hold 12000 x 10000 pixels"));
  // A picture of one colour is the smallest possible: it must be accepted.
  PngPicture black{.height = 700, .width = 900};
  black.samples.assign(std::size_t{700} * 900 * 3, 0);
  CHECK(decode_image(png_file(black)).outcome == Outcome::ok);
}

TEST_CASE("PNG: a picture whose rows take more memory than a decoder may use is refused in its header") {
  PngPicture deep{.height = 400, .width = 400, .bits = 16, .colour = 6};  // 8 bytes a pixel
  deep.samples.assign(std::size_t{400} * 400 * 4, 0);
  const Bytes file = png_file(deep);
  DecodeLimits limits;
  limits.max_decoder_bytes = std::size_t{400} * (1 + 8 * 400);  // with the number of each row's filter
  CHECK(decode_image(file, limits).outcome == Outcome::ok);
  --limits.max_decoder_bytes;
  const ImageHeader header = probe_image(file, limits);
  CHECK(header.reason == "decoding needs more than 1 MiB of memory");
  CHECK(header.format == ImageFormat::png);
  CHECK(header.height == 0);
  CHECK(header.width == 0);
  CHECK(decode_image(file, limits).outcome == Outcome::rejected);
  // The default refuses 16-bit RGBA of as many pixels as are allowed, and takes 8-bit RGBA.
  CHECK(DecodeLimits().max_decoder_bytes < 8 * DecodeLimits().max_pixels);
  CHECK(DecodeLimits().max_decoder_bytes > 5 * DecodeLimits().max_pixels);
}

TEST_CASE("PNG: changed bytes behind right checksums give a complete picture or none") {
  RandomStream random(1, Purpose::augment, 6);
  for (const auto& [colour, bits] : kinds) {
    PngPicture picture = random_picture(colour, bits, 9, 14, random);
    picture.filters = {4, 1, 3};
    picture.interlaced = bits % 3 == 1;
    const Bytes rows = filtered_rows(picture), stream = zlib_stream(rows);
    for (int i = 0; i < 60; ++i) {
      Bytes changed = i % 2 == 0 ? rows : stream;
      changed[random.below(static_cast<std::uint32_t>(changed.size()))] ^=
          static_cast<std::uint8_t>(1 + random.below(255));
      const PoisonedDecoding decoding =
          decode_poisoned(png_file(picture, i % 2 == 0 ? zlib_stream(changed) : changed));
      CHECK(decoding.is_all_written);
      CHECK(decoding.picture.image.empty() == (decoding.picture.outcome == Outcome::rejected));
    }
  }
}
