// Decodes image files that are not trusted.
//
// The content decides the format, never the name: JPEG (libjpeg-turbo), PNG (data/images/png), BMP, PPM and PGM, and
// WebP, TIFF, GIF, HEIC and AVIF where the build found their libraries (third_party/pictures/codec.h). Of a file with
// several pictures the first is taken. Every kind of pixel (gray, palette, alpha, 16 bits, CMYK) is converted to 8-bit RGB like Pillow's convert("RGB"): gray is
// repeated, alpha is dropped, CMYK is multiplied out. There is one difference: Pillow clips 16-bit gray PNG
// files to white, while here the high byte is kept. A TIFF in CIELAB, LogLuv and the like, which would get other pixels, is
// rejected. DecodeLimits::exif says whether pictures are turned as their EXIF
// orientation says; by default it is ignored, as in torchvision.
//
// There are three outcomes, because an image can be decoded and still be damaged:
//   ok        the picture
//   damaged   the decoder reported errors and continued; the size of the picture is right, parts of it may be
//             wrong
//   rejected  no picture; `reason` says why
// A file that ends before its pixels do is rejected. A JPEG that lacks only its end marker is damaged, and so is a PNG that
// lacks only what stands behind its pixels.
#pragma once

#include <kindred/data/images/image.h>
#include <kindred/layers/image_input/preparation.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace kindred {

enum class Outcome { ok, damaged, rejected };

const char* outcome_name(Outcome outcome);  // "ok", "damaged", "rejected"

struct DecodeLimits {
  // Twice the size at which Pillow warns; Pillow refuses such images too. This is checked in the header, before
  // any memory is allocated.
  std::uint64_t max_pixels = 2 * 89'478'485ull;
  // Each scan of a progressive JPEG is a pass over the whole picture, and a file can request one with a few
  // bytes. Encoders write about ten scans.
  int max_scans = 100;
  // The memory that a decoder may use besides the result, in each thread: libjpeg's (a progressive picture's
  // coefficients: up to 6 bytes per pixel), and a PNG's rows before they are converted (up to 8 bytes per pixel).
  std::size_t max_decoder_bytes = std::size_t{1} << 30;
  // For decode_file: larger files are not read.
  std::size_t max_file_bytes = std::size_t{512} << 20;
  // Sizes and regions are those of the turned picture.
  ExifMode exif = ExifMode::ignore;
};

enum class ImageFormat { none, jpeg, png, bmp, webp, tiff, gif, heic, avif, ppm };

const char* format_name(ImageFormat format);  // "none", "JPEG", "PNG", "BMP", "WebP" ...

// The information in a header.
struct ImageHeader {
  ImageFormat format = ImageFormat::none;  // determined by the first bytes
  int height = 0, width = 0;
  std::string reason;  // empty if the picture may be decoded; otherwise why not, and there is no size
  // The memory that decoding takes at its peak, besides the bytes of the file and the pixels of the result. Of formats
  // that a library reads it is an estimate, and what takes less than a few rows is not counted.
  std::size_t decoder_bytes = 0;

  bool ok() const { return reason.empty(); }
};

struct Decoded {
  Outcome outcome = Outcome::rejected;
  Image image;         // empty if rejected
  std::string reason;  // empty if ok; otherwise one line
  // `image` may be a part of the picture: the position of its pixel (0, 0) in the picture, and the size of the
  // picture.
  int top = 0, left = 0;
  int picture_height = 0, picture_width = 0;

  Region held() const { return {top, left, image.height, image.width}; }
  bool is_whole() const { return image.height == picture_height && image.width == picture_width; }
};

// A decoder keeps a buffer for the rows or the data of a PNG up to this size for the next picture.
inline constexpr std::size_t most_kept_by_decoder = std::size_t{64} << 20;

// How far a file is read after the wanted pixels have been decoded.
enum class ReadTo {
  file_end,    // the outcome covers the whole file, whatever part of it was wanted
  region_end,  // faster; for files that are known to be ok
};

// Decodes pictures in two steps, so that the caller can decide from the size which part it wants. Keeps its
// memory from picture to picture. To be used by one thread at a time. Bad content never throws; only
// std::bad_alloc can be thrown.
class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  Decoder& operator=(Decoder&&) noexcept;

  // Reads the header. The bytes must not change until decode has returned. The returned header is valid until
  // the next call of open.
  const ImageHeader& open(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

  // Decodes the picture that was opened successfully; it may be called once. `out.image` gets `wanted` (which
  // must lie within the picture) or more, because libjpeg decodes whole blocks, and a damaged picture is always
  // decoded as a whole. Every pixel of `wanted` is the same as if the whole picture were decoded.
  void decode(const Region& wanted, Decoded& out, ReadTo read_to = ReadTo::file_end);
  void decode_whole(Decoded& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The format and size of a picture, without decoding it. Thread-safe, like the functions below.
ImageHeader probe_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

// Decodes the whole picture. Bad content never throws; only std::bad_alloc can be thrown.
Decoded decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {});

// Decodes at least the part of `wanted` that lies within the picture, or the whole picture if no part does.
Decoded decode_region(std::span<const std::uint8_t> bytes, const Region& wanted,
                      const DecodeLimits& limits = {});

// read_file, followed by decode_image. A file that cannot be read is rejected.
Decoded decode_file(const std::string& path, const DecodeLimits& limits = {});

}  // namespace kindred
