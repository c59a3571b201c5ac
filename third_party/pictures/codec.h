// Formats of pictures that a library of the system reads: WebP, TIFF, GIF, HEIC and AVIF.
//
// The build has each of them only if it found the library (third_party/CMakeLists.txt). Every format gives 8-bit RGB
// as Pillow's convert("RGB") does: gray is repeated, a palette is looked up, alpha is dropped. A picture that would be
// converted otherwise has no size but a reason.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace kindred::third_party {

struct PictureSize {
  std::uint64_t height = 0, width = 0;
  std::string reason;  // empty if the size is known; otherwise why not
};

struct PictureCodec {
  std::string (*library)() = nullptr;  // its name and version, "libwebp 1.2.4"; null: this build has none
  // Reads the header. All three functions are thread-safe and throw nothing but std::bad_alloc. Where the library got no
  // memory, they throw it, or return a reason and leave ENOMEM in errno, as malloc does: many a library says then that the
  // file is damaged.
  PictureSize (*size)(std::span<const std::uint8_t> bytes) = nullptr;
  // Decodes the first picture of the file to `rgb` [height, width, 3]. The size is what size() returned. Returns an
  // empty text, or why there is no picture; the pixels are then undefined.
  std::string (*decode)(std::span<const std::uint8_t> bytes, const PictureSize& size,
                        std::uint8_t* rgb) = nullptr;

  bool is_built_in() const { return library != nullptr; }
};

extern const PictureCodec webp_codec, tiff_codec, gif_codec;
extern const PictureCodec heif_codec;  // of HEIC and AVIF

}  // namespace kindred::third_party
