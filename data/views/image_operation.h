// One operation on the pixels of a view that has been cropped and resized, with everything that was drawn for
// it. These are plain numbers, so an operation can be drawn here and executed elsewhere.
#pragma once

#include <kindred/data/images/planes.h>
#include <kindred/data/views/affine.h>
#include <kindred/data/views/blur.h>
#include <kindred/engine/names.h>

#include <cstdint>

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

// The names of the operations in recipes.
inline constexpr Named<ImageOperation> operation_names[] = {{ImageOperation::identity, "identity"},
                                                            {ImageOperation::brightness, "brightness"},
                                                            {ImageOperation::contrast, "contrast"},
                                                            {ImageOperation::color, "color"},
                                                            {ImageOperation::sharpness, "sharpness"},
                                                            {ImageOperation::hue, "hue"},
                                                            {ImageOperation::gray, "gray"},
                                                            {ImageOperation::blur, "blur"},
                                                            {ImageOperation::shear_x, "shear_x"},
                                                            {ImageOperation::shear_y, "shear_y"},
                                                            {ImageOperation::translate_x, "translate_x"},
                                                            {ImageOperation::translate_y, "translate_y"},
                                                            {ImageOperation::rotate, "rotate"},
                                                            {ImageOperation::posterize, "posterize"},
                                                            {ImageOperation::solarize, "solarize"},
                                                            {ImageOperation::solarize_add, "solarize_add"},
                                                            {ImageOperation::autocontrast, "autocontrast"},
                                                            {ImageOperation::equalize, "equalize"},
                                                            {ImageOperation::invert, "invert"},
                                                            {ImageOperation::cutout, "cutout"}};

inline const char* name(ImageOperation operation) {
  return name_of(operation_names, operation);
}

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
