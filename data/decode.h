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
#include <memory>
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

enum class ImageFormat { none, jpeg, png, bmp };

const char* format_name(ImageFormat format);  // "none", "JPEG", "PNG", "BMP"

// What a header says.
struct ImageHeader {
  ImageFormat format = ImageFormat::none;  // by the first bytes
  int height = 0, width = 0;
  std::string reason;  // empty: the picture may be decoded; otherwise why not, and then there is no size

  bool ok() const { return reason.empty(); }
};

struct Decoded {
  Outcome outcome = Outcome::rejected;
  Image image;         // empty when rejected
  std::string reason;  // empty when ok; one line otherwise
  // Where in the picture the pixel (0, 0) of `image` lies, and how large the picture is: `image` may be a part.
  int top = 0, left = 0;
  int picture_height = 0, picture_width = 0;

  Region held() const { return {top, left, image.height, image.width}; }
  bool is_whole() const { return image.height == picture_height && image.width == picture_width; }
};

// How far a file is read once the wanted pixels are there.
enum class ReadTo {
  file_end,    // the outcome speaks for the whole file, whatever part of it was wanted
  region_end,  // faster; for a file that is known to be ok
};

// Decodes pictures in two steps, so that the size may decide what is wanted. Keeps its memory from picture to
// picture. For one thread at a time; never throws on bad content (std::bad_alloc is the only exception).
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  // Reads the header. The bytes must stay as they are until decode has returned. The header is valid until the
  // next call of open.
  const ImageHeader& open(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

  // Decodes what open has found well, once. `out.image` gets `wanted` (which lies within the picture) or more:
  // libjpeg decodes whole blocks, and a damaged picture is always decoded whole. Every pixel of `wanted` equals
  // that of a whole decoding.
  void decode(const Region& wanted, Decoded& out, ReadTo read_to = ReadTo::file_end);
  void decode_whole(Decoded& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The format and the size of a picture, without decoding it. Thread-safe, as the functions below are.
ImageHeader probe_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

// The whole picture. Never throws on bad content; std::bad_alloc is the only exception.
Decoded decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

// At least the part of the picture that `wanted` and the picture have in common; all where that is nothing.
Decoded decode_region(std::span<const std::uint8_t> bytes, const Region& wanted,
                      const DecodeLimits& limits = {});

// read_file, then decode_image: a file that cannot be read is rejected.
Decoded decode_file(const std::string& path, const DecodeLimits& limits = {});

}  // namespace kindred
