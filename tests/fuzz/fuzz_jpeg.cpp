// JPEG: for any bytes the result is consistent, and a decoded part equals the same part of the whole picture.
#include "../data/test_images.h"
#include "picture_checks.h"

#include <cstring>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  const Decoded whole = fuzz::decode_and_check(bytes);
  if (whole.outcome == Outcome::rejected) return;
  // The part is arbitrary, but depends only on the input.
  const std::uint32_t key = std::uint32_t{bytes[bytes.size() / 2]} << 8 | bytes[bytes.size() - 3];
  Region wanted;
  wanted.top = static_cast<int>(key % std::uint32_t(whole.image.height));
  wanted.left = static_cast<int>(key / 7 % std::uint32_t(whole.image.width));
  wanted.height = 1 + static_cast<int>(key / 3 % std::uint32_t(whole.image.height - wanted.top));
  wanted.width = 1 + static_cast<int>(key / 11 % std::uint32_t(whole.image.width - wanted.left));
  const Decoded part = decode_region(bytes, wanted, fuzz::small_limits());
  KINDRED_FUZZ_CHECK(part.outcome == whole.outcome);
  KINDRED_FUZZ_CHECK(part.held().contains(wanted));
  for (int y = 0; y < wanted.height; ++y) {
    KINDRED_FUZZ_CHECK(std::memcmp(part.image.pixel(wanted.top - part.top + y, wanted.left - part.left),
                                   whole.image.pixel(wanted.top + y, wanted.left),
                                   std::size_t(wanted.width) * 3) == 0);
  }
}

std::vector<fuzz::Bytes> seeds() {
  const fuzz::Bytes pixels = test::smooth_image(40, 80).pixels;  // enough for 40 x 56 x 4
  std::vector<fuzz::Bytes> files;
  for (const int components : {1, 3, 4}) {
    for (int kind = 0; kind < 7; ++kind) {
      test::JpegSpec spec;
      spec.height = 40;
      spec.width = 56;
      spec.components = components;
      spec.quality = 60;
      spec.horizontal = components == 3 && kind > 0 ? 2 : 1;
      spec.vertical = components == 3 && kind > 1 ? 2 : 1;
      spec.progressive = kind >= 3 && kind <= 5;
      spec.coarse = kind == 4;
      spec.restart_rows = kind == 2 || kind == 5;
      spec.arithmetic = kind == 6;
      spec.ycck = components == 4 && kind == 1;
      files.push_back(test::write_jpeg(spec, pixels));
    }
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(jpeg, run, seeds)
