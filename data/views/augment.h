// Makes a random view of an image, as torchvision makes it from Pillow images.
//
// There are two steps: draw_view draws all random numbers and returns plain parameters; apply_view does the
// arithmetic. So a view can be drawn here and computed elsewhere (on a GPU), and a test can ask for a
// particular view.
//
// The order of the draws is part of what makes a run reproducible; do not change it. First up to ten crops are
// drawn (area, ratio; the first that fits also draws its top and left), then the flip. Then the recipe's steps
// follow one after the other. A step with probability 0 draws nothing:
//   jitter       coin, order (3 draws), brightness, contrast, saturation, hue
//   gray         coin
//   blur         coin, sigma
//   AutoAugment  pair; for each of its two operations: coin, sign, and for cutout row and column
//   RandAugment  for each: which, sign, row and column of a cutout
//   cutout       coin, row, column
//   operation    coin, value
// If the coin says no, the other draws of the step are made all the same. A sign is also drawn for operations
// that have none. The draws depend on the image only through its height and width.
#pragma once

#include <kindred/data/images/image.h>
#include <kindred/data/images/resize.h>
#include <kindred/data/views/recipe.h>
#include <kindred/engine/random/philox.h>

#include <array>
#include <cstdint>

namespace kindred {

// Everything that was drawn for one view.
struct ViewParameters {
  // The crop is resized to resized_height x resized_width. The view is the square at (top, left) of the result. It may
  // be larger than the result, which then begins at (-top, -left) of the view and has gray around it (resize.h).
  Region crop;
  int resized_height = 0, resized_width = 0;
  int top = 0, left = 0;
  bool flip = false;
  // The operations that follow, in this order.
  static constexpr int most_operations = 32;
  std::array<DrawnOperation, most_operations> operations;
  int count = 0;

  void add(const DrawnOperation& operation);
};

// The largest number of operations that a view of the recipe can have. More than most_operations cannot be
// drawn.
int most_operations(const Recipe& recipe);

// Memory that a thread keeps from view to view. Its content has no meaning between calls.
struct AugmentScratch {
  Planes view;
  ResizeScratch resize;
  OperationScratch operations;
};

// height, width, size >= 1.
ViewParameters draw_view(int height, int width, const Recipe& recipe, int size, RandomStream& random);

// The pixels of the picture from which the view is computed. A decoder needs to decode no more than these
// regions of all views.
Region needed_region(const ViewParameters& parameters, int size);

// The crop is given in pixels of `image`. If `image` is only a part of the picture (it must contain
// needed_region), subtract its corner: parameters.crop.top -= decoded.top, and the same for left.
void apply_view(const Image& image, const ViewParameters& parameters, int size,
                std::uint8_t* out /*[size,size,3]*/, AugmentScratch& scratch);

// draw_view, followed by apply_view. The image must not be empty.
void make_view(const Image& image, const Recipe& recipe, int size, RandomStream& random,
               std::uint8_t* out /*[size,size,3]*/, AugmentScratch& scratch);

}  // namespace kindred
