#include <kindred/data/views/color.h>
#include <kindred/data/views/image_operation.h>
#include <kindred/data/views/sharpness.h>
#include <kindred/data/views/tone.h>

namespace kindred {

void apply(const DrawnOperation& drawn, Planes& view, OperationScratch& scratch) {
  const float value = drawn.value;
  const int whole = static_cast<int>(value);
  const auto warped = [&](const AffineMap& map) {
    warp(view, map, drawn.interpolation, drawn.fill, scratch.before);
  };
  switch (drawn.operation) {
    case ImageOperation::identity:
      return;
    case ImageOperation::brightness:
      return value == 1.0f ? void() : adjust_brightness(view, value);
    case ImageOperation::contrast:
      return value == 1.0f ? void() : adjust_contrast(view, value);
    case ImageOperation::color:
      return value == 1.0f ? void() : adjust_saturation(view, value);
    case ImageOperation::sharpness:
      return value == 1.0f ? void() : adjust_sharpness(view, value, scratch.before);
    case ImageOperation::hue:
      return value == 0.0f ? void() : adjust_hue(view, value);
    case ImageOperation::gray:
      return to_gray(view);
    case ImageOperation::blur:
      return value > 0.0f ? gaussian_blur(view, blur_kernel(view.size), value, scratch.blur) : void();
    case ImageOperation::shear_x:
      return warped(shear_x_map(value));
    case ImageOperation::shear_y:
      return warped(shear_y_map(value));
    case ImageOperation::translate_x:
      return warped(translation_map(whole, 0));
    case ImageOperation::translate_y:
      return warped(translation_map(0, whole));
    case ImageOperation::rotate:
      return warped(rotation_map(value, view.size));
    case ImageOperation::posterize:
      return posterize(view, whole);
    case ImageOperation::solarize:
      return solarize(view, value);
    case ImageOperation::solarize_add:
      return solarize_add(view, whole);
    case ImageOperation::autocontrast:
      return autocontrast(view);
    case ImageOperation::equalize:
      return equalize(view);
    case ImageOperation::invert:
      return invert(view);
    case ImageOperation::cutout:
      return cut_out(view, drawn.row, drawn.column, whole, drawn.fill);
  }
}

}  // namespace kindred
