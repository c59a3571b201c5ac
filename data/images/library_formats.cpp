// WebP, TIFF, GIF, HEIC and AVIF, by libraries of the system.
#include <kindred/data/images/decode_formats.h>
#include <kindred/third_party/pictures/codec.h>

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace kindred::detail {
namespace {

const third_party::PictureCodec* codec_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::webp:
      return &third_party::webp_codec;
    case ImageFormat::tiff:
      return &third_party::tiff_codec;
    case ImageFormat::gif:
      return &third_party::gif_codec;
    case ImageFormat::heic:
    case ImageFormat::avif:
      return &third_party::heif_codec;
    default:
      return nullptr;
  }
}

// What the libraries hold of a picture while they decode it: of WebP and TIFF four bytes a pixel, of HEIC and AVIF the
// planes as they are coded and the pixels before they are copied. GIF is read row by row.
std::size_t bytes_of_library(const ImageHeader& header) {
  const std::size_t pixels = static_cast<std::size_t>(header.height) * static_cast<std::size_t>(header.width);
  switch (header.format) {
    case ImageFormat::webp:
    case ImageFormat::tiff:
      return 4 * pixels;
    case ImageFormat::heic:
    case ImageFormat::avif:
      return 8 * pixels;
    default:
      return 0;
  }
}

// What the library says if malloc has failed is no news about the file; unless the file asked for more than the library needs
// for any such picture, which there still is. A guess, because other threads have taken and given back memory meanwhile.
void throw_if_memory_was_missing(const std::string& reason, std::size_t needed) {
  if (reason.empty() || errno != ENOMEM) return;
  constexpr std::size_t least = std::size_t{1} << 20;
  void* volatile there =
      std::malloc(std::max(needed, least));  // volatile, or the compiler leaves both calls out
  if (there == nullptr) throw std::bad_alloc();
  std::free(there);
}

}  // namespace

bool has_library_for(ImageFormat format) {
  const third_party::PictureCodec* codec = codec_of(format);
  return codec != nullptr && codec->is_built_in();
}

void open_by_library(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header) {
  errno = 0;
  const third_party::PictureSize size = codec_of(header.format)->size(bytes);
  throw_if_memory_was_missing(size.reason, 0);
  header.reason = size.reason;
  if (header.ok()) set_size(size.height, size.width, limits, header);
  if (header.ok()) header.decoder_bytes = bytes_of_library(header);
}

void decode_by_library(ByteSpan bytes, const ImageHeader& header, Decoded& out) {
  out.image.resize(header.height, header.width);
  const third_party::PictureSize size = {static_cast<std::uint64_t>(header.height),
                                         static_cast<std::uint64_t>(header.width), ""};
  errno = 0;
  std::string reason = codec_of(header.format)->decode(bytes, size, out.image.pixels.data());
  throw_if_memory_was_missing(reason, header.decoder_bytes);
  if (!reason.empty()) return reject(out, std::move(reason));
  out.outcome = Outcome::ok;
  out.reason.clear();
}

}  // namespace kindred::detail
