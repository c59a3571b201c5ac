// Bytes of an image file -> pixels, for files that nobody vouches for.
//
// The content decides the format, never the name: JPEG (libjpeg-turbo), PNG and BMP (stb_image). Whatever the
// file holds (gray, palette, alpha, 16 bits, CMYK) becomes 8-bit RGB as Pillow's convert("RGB") makes it: gray
// is repeated, alpha is dropped, CMYK is multiplied out. One difference: Pillow clips 16-bit gray PNG files to
// white, here their high byte is kept. EXIF orientation is ignored, as torchvision ignores it.
//
// Three outcomes, because "decoded, but" is a state of its own:
//   ok        the picture
//   damaged   the decoder complained and went on; the picture is whole in size, parts of it may be wrong
//   rejected  no picture; `reason` says why
// A file that ends before its pixels do is rejected. A JPEG that lacks only its end marker is damaged.
#pragma once

#include <kindred/data/image.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kindred {

enum class Outcome { ok, damaged, rejected };

const char* outcome_name(Outcome outcome);  // "ok", "damaged", "rejected"

struct DecodeLimits {
  // Twice Pillow's warning level, where Pillow refuses too. Checked in the header, before anything is
  // allocated.
  std::uint64_t max_pixels = 2 * 89'478'485ull;
  // Each scan of a progressive JPEG is a pass over the whole picture, and a few bytes suffice to ask for one.
  // Encoders write about ten.
  int max_scans = 100;
  // What libjpeg may hold besides the result (a progressive picture's coefficients: up to 6 bytes a pixel).
  std::size_t max_decoder_bytes = std::size_t{1} << 30;
  // For decode_file: larger files are not read at all.
  std::size_t max_file_bytes = std::size_t{512} << 20;
};

struct Decoded {
  Outcome outcome = Outcome::rejected;
  Image image;         // empty when rejected
  std::string reason;  // empty when ok; one line otherwise
};

// Never throws on bad content; std::bad_alloc is the only exception. Thread-safe.
Decoded decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

// read_file, then decode_image: a file that cannot be read is rejected.
Decoded decode_file(const std::string& path, const DecodeLimits& limits = {});

}  // namespace kindred
