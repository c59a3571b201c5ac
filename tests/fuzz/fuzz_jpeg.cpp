// JPEG: whatever the bytes, the result is sane, and a part of a picture equals that part of the whole.
#include "../data/test_images.h"
#include "fuzz_target.h"

#include <kindred/data/decode.h>

#include <cstring>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  DecodeLimits limits;
  limits.max_pixels = 1 << 18;
  limits.max_scans = 20;
  limits.max_decoder_bytes = std::size_t{32} << 20;
  const Decoded whole = decode_image(bytes, limits);
  KINDRED_FUZZ_CHECK((whole.outcome == Outcome::ok) == whole.reason.empty());
  KINDRED_FUZZ_CHECK((whole.outcome == Outcome::rejected) == whole.image.empty());
  if (whole.outcome == Outcome::rejected) return;
  KINDRED_FUZZ_CHECK(whole.is_whole());
  // Which part: anything, but a function of the input.
  const std::uint32_t key = std::uint32_t{bytes[bytes.size() / 2]} << 8 | bytes[bytes.size() - 3];
  Region wanted;
  wanted.top = static_cast<int>(key % std::uint32_t(whole.image.height));
  wanted.left = static_cast<int>(key / 7 % std::uint32_t(whole.image.width));
  wanted.height = 1 + static_cast<int>(key / 3 % std::uint32_t(whole.image.height - wanted.top));
  wanted.width = 1 + static_cast<int>(key / 11 % std::uint32_t(whole.image.width - wanted.left));
  const Decoded part = decode_region(bytes, wanted, limits);
  KINDRED_FUZZ_CHECK(part.outcome == whole.outcome);
  KINDRED_FUZZ_CHECK(part.held().contains(wanted));
  for (int y = 0; y < wanted.height; ++y) {
    KINDRED_FUZZ_CHECK(std::memcmp(part.image.pixel(wanted.top - part.top + y, wanted.left - part.left),
                                   whole.image.pixel(wanted.top + y, wanted.left),
                                   std::size_t(wanted.width) * 3) == 0);
  }
}

std::vector<fuzz::Bytes> seeds() {
  const Image image = test::smooth_image(40, 56);
  std::vector<fuzz::Bytes> files;
  for (const bool progressive : {false, true}) {
    files.push_back(test::write_jpeg(image.pixels, 40, 56, 3, progressive));
    files.push_back(test::write_jpeg(fuzz::Bytes(image.pixels.begin(), image.pixels.begin() + 40 * 56), 40, 56,
                                     1, progressive));
    files.push_back(test::write_jpeg(fuzz::Bytes(image.pixels.begin(), image.pixels.begin() + 24 * 24 * 4), 24,
                                     24, 4, progressive));
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(jpeg, run, seeds)
