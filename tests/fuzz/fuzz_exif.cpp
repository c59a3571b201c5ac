// EXIF orientations in JPEG, PNG, WebP and TIFF, and pictures that are turned by them.
#include "../data/images/exif_files.h"
#include "../data/png/png_writer.h"
#include "../data/test_images.h"
#include "picture_checks.h"

#include <kindred/data/images/exif.h>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  for (const ImageFormat format :
       {ImageFormat::none, ImageFormat::jpeg, ImageFormat::png, ImageFormat::webp, ImageFormat::tiff}) {
    const int orientation = exif_orientation(bytes, format);
    KINDRED_FUZZ_CHECK(orientation >= 1 && orientation <= 8);
  }
  const Decoded stored = decode_image(bytes, fuzz::small_limits());
  DecodeLimits limits = fuzz::small_limits();
  limits.exif = ExifMode::apply;
  const Decoded turned = decode_image(bytes, limits);
  KINDRED_FUZZ_CHECK(turned.outcome == stored.outcome && turned.reason == stored.reason);
  if (turned.outcome == Outcome::rejected) return;
  KINDRED_FUZZ_CHECK(turned.is_whole() && turned.image.pixels.size() == stored.image.pixels.size());
  const bool is_swapped =
      turned.image.height == stored.image.width && turned.image.width == stored.image.height;
  KINDRED_FUZZ_CHECK(is_swapped || turned.image.height == stored.image.height);
  const ImageHeader header = probe_image(bytes, limits);
  KINDRED_FUZZ_CHECK(header.height == turned.image.height && header.width == turned.image.width);
  const Decoded corner = decode_region(bytes, {0, 0, 1, 1}, limits);
  KINDRED_FUZZ_CHECK(corner.outcome != Outcome::ok || corner.held().contains({0, 0, 1, 1}));
}

std::vector<fuzz::Bytes> seeds() {
  const Image image = test::smooth_image(9, 14);
  const fuzz::Bytes jpeg = test::write_jpeg(image.pixels, 9, 14, 3);
  const fuzz::Bytes png = test::write_png({9, 14, 8, 2, {}}, image.pixels);
  const auto with_text = [&](std::string_view chunk, const std::vector<fuzz::Bytes>& parts) {
    fuzz::Bytes file = png;
    const fuzz::Bytes bytes = test::png_chunk(chunk, test::joined(parts));
    file.insert(file.end() - 12, bytes.begin(), bytes.end());
    return file;
  };
  return {with_text("tEXt", {test::exif_keyword(), test::exif_profile(6)}),
          with_text("zTXt", {test::exif_keyword(), {0}, test::zlib_stream(test::exif_profile(3))}),
          test::jpeg_with_orientation(jpeg, 6),
          test::jpeg_with_orientation(jpeg, 3, true),
          test::png_with_orientation(png, 8),
          test::webp_with_orientation(5),
          test::tiff_block(7),
          test::tiff_block(2, true)};
}

}  // namespace

KINDRED_FUZZ_TARGET(exif, run, seeds)
