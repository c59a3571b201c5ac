// One operation on the pixels of a view that has been cropped and resized, with everything that was drawn for
// it. These are plain numbers, so an operation can be drawn here and executed elsewhere.
#pragma once

#include <kindred/data/images/planes.h>
#include <kindred/data/views/affine.h>
#include <kindred/data/views/blur.h>

#include <array>
#include <optional>
#include <string_view>

namespace kindred {

// The meaning of `value` is written beside each operation.
enum class ImageOperation : std::uint8_t {
  identity,
  brightness,    // factor, 0 or more (color.h)
  contrast,      // factor
  color,         // factor of the saturation
  sharpness,     // factor (sharpness.h)
  hue,           // turns, -.5 to .5
  gray,          //
  blur,          // sigma, pixels (blur.h)
  shear_x,       // tangent of the angle (affine.h)
  shear_y,       //
  translate_x,   // whole pixels to the right
  translate_y,   // whole pixels down
  rotate,        // degrees anticlockwise
  posterize,     // bits kept (tone.h)
  solarize,      // threshold
  solarize_add,  // addition
  autocontrast,  //
  equalize,      //
  invert,        //
  cutout,        // side in pixels
};

// The names of the operations in recipes, in the same order.
inline constexpr std::array<std::string_view, 20> operation_names = {
    "identity", "brightness",   "contrast",     "color",       "sharpness",   "hue",    "gray",
    "blur",     "shear_x",      "shear_y",      "translate_x", "translate_y", "rotate", "posterize",
    "solarize", "solarize_add", "autocontrast", "equalize",    "invert",      "cutout"};

inline std::string_view name(ImageOperation operation) {
  return operation_names[static_cast<std::size_t>(operation)];
}
std::optional<ImageOperation> operation_named(std::string_view name);

struct DrawnOperation {
  ImageOperation operation = ImageOperation::identity;
  Interpolation interpolation = Interpolation::nearest;  // for shear, translate and rotate
  std::uint8_t fill = 0;                                 // for those and for cutout
  float value = 0;
  int row = 0, column = 0;  // centre of a cutout
};

// Memory that a thread keeps from view to view. Its content has no meaning between calls.
struct OperationScratch {
  BlurScratch blur;
  Planes before;
};

// Works in place.
void apply(const DrawnOperation& drawn, Planes& view, OperationScratch& scratch);

}  // namespace kindred
