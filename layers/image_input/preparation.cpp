#include <fmt/core.h>
#include <kindred/layers/image_input/preparation.h>

namespace kindred {
namespace {

std::string resize_text(std::int64_t size, ResizeMode mode) {
  const std::int64_t side = shorter_side(size);
  switch (mode) {
    case ResizeMode::pad:
      return fmt::format(
          "resized so that the longer side has {} pixels, and padded in equal parts on both sides with gray {} "
          "to {} x {}",
          size, pad_gray, size, size);
    case ResizeMode::squash:
      return fmt::format("resized to {} x {} pixels, whatever its proportions are", size, size);
    case ResizeMode::crop:
      break;
  }
  std::string text =
      fmt::format("resized so that the shorter side has {} pixels, of which the central {} x {} are used", side,
                  size, size);
  if (side != size) text += fmt::format(" (a picture of {} x {} is used unchanged)", size, size);
  return text;
}

}  // namespace

std::string preparation_text(std::int64_t size, ResizeMode resize, ExifMode exif) {
  return fmt::format(
      "RGB of 8 bits; EXIF orientation {}; {}; bilinear with antialiasing, as Pillow's BILINEAR, rounded to 8 "
      "bits; divided "
      "by 255; minus pixel_mean; divided by pixel_std",
      exif == ExifMode::apply ? "applied" : "ignored", resize_text(size, resize));
}

}  // namespace kindred
