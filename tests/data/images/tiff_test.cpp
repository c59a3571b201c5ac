// TIFF files whose colours are converted otherwise than Pillow does, or by nobody.
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/decode_formats.h>

#include <array>
#include <cstdint>
#include <utility>

using namespace kindred;
using namespace kindred::test;

namespace {

const Bytes six_samples{200, 10, 20, 90, 130, 140};

// 2 x 1 pixels of three samples of 8 bits; `photometric` is TIFF's number for what they mean.
Bytes tiff_file(std::uint32_t photometric) {
  constexpr std::uint32_t short_type = 3, long_type = 4, bits_at = 122, pixels_at = 128;
  Bytes file{'I', 'I', 42, 0, 8, 0, 0, 0};
  const auto put = [&](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) file.push_back(static_cast<std::uint8_t>((value >> (8 * i)) & 0xFF));
  };
  constexpr std::array<std::array<std::uint32_t, 3>, 4> before{
      {{256, long_type, 2}, {257, long_type, 1}, {258, short_type, bits_at}, {259, short_type, 1}}};
  constexpr std::array<std::array<std::uint32_t, 3>, 4> behind{
      {{273, long_type, pixels_at}, {277, short_type, 3}, {278, long_type, 1}, {279, long_type, 6}}};
  const auto put_entry = [&](const std::array<std::uint32_t, 3>& entry) {
    put(entry[0], 2);
    put(entry[1], 2);
    put(entry[0] == 258 ? 3u : 1u, 4);
    put(entry[2], 4);
  };
  put(9, 2);
  for (const auto& entry : before) put_entry(entry);
  put_entry({262, short_type, photometric});
  for (const auto& entry : behind) put_entry(entry);
  put(0, 4);  // no other picture
  for (int i = 0; i < 3; ++i) put(8, 2);
  file.insert(file.end(), six_samples.begin(), six_samples.end());
  return file;
}

// 4 x 1 pixels of four samples, RGB and one whose meaning `extra` says: 0 nothing, 1 alpha that the colours are multiplied
// by, 2 alpha that they are not. `bits` is 8 or 16.
Bytes tiff_with_alpha(std::uint32_t extra, std::uint32_t bits, const Bytes& samples) {
  constexpr std::uint32_t short_type = 3, long_type = 4, bits_at = 134, pixels_at = 142;
  Bytes file{'I', 'I', 42, 0, 8, 0, 0, 0};
  const auto put = [&](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) file.push_back(static_cast<std::uint8_t>((value >> (8 * i)) & 0xFF));
  };
  const std::uint32_t bytes = 16 * bits / 8;
  const std::array<std::array<std::uint32_t, 4>, 10> entries{{{256, long_type, 1, 4},
                                                              {257, long_type, 1, 1},
                                                              {258, short_type, 4, bits_at},
                                                              {259, short_type, 1, 1},
                                                              {262, short_type, 1, 2},
                                                              {273, long_type, 1, pixels_at},
                                                              {277, short_type, 1, 4},
                                                              {278, long_type, 1, 1},
                                                              {279, long_type, 1, bytes},
                                                              {338, short_type, 1, extra}}};
  put(static_cast<std::uint32_t>(entries.size()), 2);
  for (const auto& [tag, type, count, value] : entries) {
    put(tag, 2);
    put(type, 2);
    put(count, 4);
    put(value, 4);
  }
  put(0, 4);
  for (int i = 0; i < 4; ++i) put(bits, 2);
  for (const std::uint8_t sample : samples) {
    if (bits == 16) file.push_back(201);  // the low byte, which is not used
    file.push_back(sample);
  }
  return file;
}

}  // namespace

TEST_CASE(
    "TIFF: colours that are multiplied by alpha are divided by it, as Pillow does; others are as they are") {
  if (!detail::has_library_for(ImageFormat::tiff)) return;
  const Bytes samples{100, 50, 25, 128, 7, 8, 9, 0, 200, 10, 0, 100, 11, 12, 13, 255};
  const Bytes as_they_are{100, 50, 25, 7, 8, 9, 200, 10, 0, 11, 12, 13};
  const Bytes divided{199, 99, 49, 0, 0, 0, 255, 25, 0, 11, 12, 13};  // floor(255 colour / alpha), 255 at most
  for (const std::uint32_t bits : {8u, 16u})
    for (const std::uint32_t extra : {0u, 1u, 2u}) {
      CAPTURE(bits);
      CAPTURE(extra);
      const Decoded decoded = decode_image(tiff_with_alpha(extra, bits, samples));
      CHECK(decoded.outcome == Outcome::ok);
      CHECK(decoded.image.pixels == (extra == 1 ? divided : as_they_are));
    }
}

TEST_CASE("TIFF: colours that would not be Pillow's are refused by their name, as unreadable formats are") {
  const std::pair<std::uint32_t, const char*> refused[] = {
      {8, "CIELAB"},   {9, "ICCLAB"},    {10, "ITULAB"}, {32803, "CFA (a camera's raw data)"},
      {32844, "LogL"}, {32845, "LogLuv"}};
  const bool is_read = detail::has_library_for(ImageFormat::tiff);
  for (const auto& [photometric, name] : refused) {
    CAPTURE(name);
    const Bytes file = tiff_file(photometric);
    const std::string expected =
        is_read ? std::string("a TIFF whose colours are ") + name + ", which is not read; convert it to RGB"
                : "TIFF; this build cannot read it";
    CHECK(probe_image(file).reason == expected);
    CHECK(probe_image(file).format == (is_read ? ImageFormat::tiff : ImageFormat::none));
    const Decoded decoded = decode_image(file);
    CHECK(decoded.outcome == Outcome::rejected);
    CHECK(decoded.reason == expected);
    CHECK(decoded.image.empty());
  }
}

TEST_CASE("TIFF: the same file in RGB is read") {
  const Decoded decoded = decode_image(tiff_file(2));
  if (!detail::has_library_for(ImageFormat::tiff)) {
    CHECK(decoded.reason == "TIFF; this build cannot read it");
    return;
  }
  CHECK(decoded.outcome == Outcome::ok);
  CHECK(decoded.image.pixels == six_samples);
}

TEST_CASE("TIFF: a file that asks for more memory than there could be is bad, and ends nothing") {
  if (!detail::has_library_for(ImageFormat::tiff)) {
    MESSAGE("skipped: this build has no libtiff");
    return;
  }
  constexpr std::size_t entries = 9, entry_bytes = 12, first_entry = 10;
  int bad = 0;
  for (std::size_t entry = 0; entry < entries; ++entry)
    for (const std::size_t field : {4u, 8u})  // its count, its value
      for (const std::uint8_t high : {0x7F, 0x0F, 0xFF}) {
        Bytes file = tiff_file(2);
        for (std::size_t i = 0; i < 4; ++i)
          file[first_entry + entry * entry_bytes + field + i] = i == 3 ? high : std::uint8_t{0xF0};
        Decoder decoder;
        Decoded pixels;
        CAPTURE(entry);
        CAPTURE(field);
        const ImageHeader header = decoder.open(file, {});
        if (header.ok()) decoder.decode_whole(pixels);  // throws nothing
        bad += !header.ok() || pixels.outcome != Outcome::ok;
      }
  CHECK(bad >= 40);
}
