// Small pictures of every kind, against Pillow's decoding (make_decode_golden.py).
#include "../data/images/poisoned.h"
#include "formula.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <numeric>

using namespace kindred;

namespace {

std::vector<std::uint8_t> from_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

}  // namespace

TEST_CASE("decode golden: as Pillow, within 2 levels; CMYK within 3 in the mean") {
  const nlohmann::json golden = golden::load_fixture("decode");
  REQUIRE(golden["cases"].size() >= 20);
  for (const auto& example : golden["cases"]) {
    const std::string name = example["name"];
    CAPTURE(name);
    const auto [d, is_all_written] = test::decode_poisoned(from_hex(example["file"]));
    CHECK(d.outcome == Outcome::ok);
    CHECK(is_all_written);
    const std::vector<std::uint8_t> expected = from_hex(example["pixels"]);
    REQUIRE(d.image.height == golden["height"].get<int>());
    REQUIRE(d.image.pixels.size() == expected.size());
    int largest = 0;
    double sum = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const int difference = std::abs(d.image.pixels[i] - expected[i]);
      largest = std::max(largest, difference);
      sum += difference;
    }
    if (name == "JPEG CMYK") {
      CHECK(sum / double(expected.size()) <= 3.0);
    } else {
      CHECK(largest <= (name.starts_with("JPEG") ? 2 : 0));
    }
  }
}

// HEIC and AVIF end in conversions that differ between versions of their libraries. The other formats are exact.
TEST_CASE("decode golden: formats of the system's libraries, as Pillow") {
  const nlohmann::json golden = golden::load_fixture("decode_formats");
  REQUIRE(golden["cases"].size() == 33);
  int read = 0;
  for (const auto& example : golden["cases"]) {
    const std::string name = example["name"];
    CAPTURE(name);
    const std::vector<std::uint8_t> file = from_hex(example["file"]), expected = from_hex(example["pixels"]);
    const auto [d, is_all_written] = test::decode_poisoned(file);
    if (d.reason.ends_with("this build cannot read it") || d.reason.ends_with("install libheif")) continue;
    ++read;
    CHECK(is_all_written);
    CHECK(d.reason == "");
    CHECK(d.outcome == Outcome::ok);
    REQUIRE(d.image.height == golden["height"].get<int>());
    REQUIRE(d.image.pixels.size() == expected.size());
    int largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
      largest = std::max(largest, std::abs(d.image.pixels[i] - expected[i]));
    CHECK(largest <= example["tolerance"].get<int>());

    // A file that was cut off has no picture, or, where only what follows the pixels is missing, the same one.
    for (const std::size_t part : {file.size() / 4, file.size() / 2, file.size() - 40}) {
      const auto [cut, cut_is_all_written] = test::decode_poisoned(std::span(file).first(part));
      CAPTURE(part);
      CHECK(cut_is_all_written);
      if (cut.outcome == Outcome::rejected) {
        CHECK(cut.reason != "");
        CHECK(cut.image.pixels.empty());
      } else {
        CHECK(cut.image.pixels == d.image.pixels);
      }
    }
  }
  if (read < 33) MESSAGE("skipped: formats whose libraries this build lacks: " << 33 - read << " of 33 files");
  CHECK(read >= 4);  // PPM and PGM need no library
}

// 1000 x 1 pixels of 65535 samples of 16 bits: a row would take 131 MB.
TEST_CASE("decode: a TIFF with thousands of samples a pixel is refused by its header") {
  const std::vector<std::uint8_t> file = from_hex(
      "49492a000800000009000001040001000000e80300000101040001000000010000000201030001000000100000000301"
      "030001000000010000000601030001000000020000001101040001000000820000001501030001000000ffff00001601"
      "0400010000000100000017010400010000000a000000000000000000000000000000000000000000000000000000");
  const ImageHeader header = probe_image(file);
  if (header.reason == "TIFF; this build cannot read it") return;
  CHECK(header.format == ImageFormat::tiff);
  CHECK(header.reason == "a TIFF with more than 32 samples a pixel, which is no photo");
}
