// What must be true for every decoding of any bytes.
#pragma once

#include "../data/images/poisoned.h"
#include "fuzz_target.h"

#include <kindred/data/images/decode.h>

namespace kindred::fuzz {

// Small enough for thousands of pictures a second.
inline DecodeLimits small_limits() {
  DecodeLimits limits;
  limits.max_pixels = 1 << 18;
  limits.max_scans = 20;
  limits.max_decoder_bytes = std::size_t{32} << 20;
  return limits;
}

// Decodes the whole picture. There must be a complete picture, of which every byte was written, or none and a reason.
inline Decoded decode_and_check(std::span<const std::uint8_t> bytes) {
  auto [picture, is_all_written] = test::decode_poisoned(bytes, small_limits());
  KINDRED_FUZZ_CHECK(is_all_written);
  KINDRED_FUZZ_CHECK((picture.outcome == Outcome::ok) == picture.reason.empty());
  KINDRED_FUZZ_CHECK((picture.outcome == Outcome::rejected) == picture.image.empty());
  if (picture.outcome == Outcome::rejected) return picture;
  KINDRED_FUZZ_CHECK(picture.is_whole());
  KINDRED_FUZZ_CHECK(picture.image.pixels.size() ==
                     std::size_t(picture.image.height) * std::size_t(picture.image.width) * 3);
  const ImageHeader header = probe_image(bytes, small_limits());
  KINDRED_FUZZ_CHECK(header.ok() && header.height == picture.image.height &&
                     header.width == picture.image.width);
  return picture;
}

}  // namespace kindred::fuzz
