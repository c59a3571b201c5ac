// Decoding into memory that is full of a pattern: a byte that the decoder does not write keeps it.
#pragma once

#include <kindred/data/images/decode.h>

#include <algorithm>
#include <utility>

namespace kindred::test {

inline Decoded decode_over(std::uint8_t pattern, std::span<const std::uint8_t> bytes,
                           const DecodeLimits& limits = {}) {
  Decoder decoder;
  const ImageHeader& header = decoder.open(bytes, limits);
  Decoded out;
  if (header.ok()) {
    out.image.resize(header.height, header.width);
    std::fill(out.image.pixels.begin(), out.image.pixels.end(), pattern);
  }
  decoder.decode_whole(out);
  return out;
}

struct PoisonedDecoding {
  Decoded picture{};
  bool is_all_written = false;  // two patterns give the same picture, outcome and reason
};

inline PoisonedDecoding decode_poisoned(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {}) {
  PoisonedDecoding result{decode_over(0x00, bytes, limits), false};
  const Decoded& first = result.picture;
  const Decoded second = decode_over(0xFF, bytes, limits);
  result.is_all_written = first.outcome == second.outcome && first.reason == second.reason &&
                          first.image.height == second.image.height &&
                          first.image.width == second.image.width && first.image.pixels == second.image.pixels;
  return result;
}

}  // namespace kindred::test
