// Image -> random view, as torchvision makes it from Pillow images.
//
// In two halves: draw_view takes all the randomness and gives plain numbers, apply_view does the arithmetic. So
// the same view can be drawn here and made elsewhere (on a GPU), and a test can ask for a particular view.
//
// Draw order (part of what makes a run reproducible; do not change): up to ten crops (area, ratio; the first
// that fits draws its top, left), flip; then the recipe's steps one after the other, none of which draws
// anything when its probability is 0:
//   jitter       coin, order (3 draws), brightness, contrast, saturation, hue
//   gray         coin
//   blur         coin, sigma
//   AutoAugment  pair; for each of its two operations: coin, sign, and for cutout row and column
//   RandAugment  for each: which, sign, row and column of a cutout
//   cutout       coin, row, column
//   operation    coin, value
// A coin's loss saves no draws; a sign is drawn for operations without one too.
// Draws depend on the image through its height and width alone.
#pragma once

#include <kindred/data/image.h>
#include <kindred/data/recipe.h>
#include <kindred/data/resize.h>
#include <kindred/engine/philox.h>

#include <array>
#include <cstdint>

namespace kindred {

// Everything that was drawn for one view.
struct ViewParameters {
  // The crop is resized to resized_height x resized_width, and of that the square at (top, left) is the view.
  Region crop;
  int resized_height = 0, resized_width = 0;
  int top = 0, left = 0;
  bool flip = false;
  // What is done to the view then, one after the other.
  static constexpr int most_operations = 32;
  std::array<DrawnOperation, most_operations> operations;
  int count = 0;

  void add(const DrawnOperation& operation);
};

// The most operations that a view of the recipe can have; more than most_operations cannot be drawn.
int most_operations(const Recipe& recipe);

// Memory that a thread keeps from view to view; its content between calls means nothing.
struct AugmentScratch {
  Planes view;
  ResizeScratch resize;
  OperationScratch operations;
};

// height, width, size >= 1.
ViewParameters draw_view(int height, int width, const Recipe& recipe, int size, RandomStream& random);

// The pixels of the picture that the view is computed from. A decoder need give no more, for all views at once.
Region needed_region(const ViewParameters& parameters, int size);

// The crop is counted in pixels of `image`. Where `image` is only a part of the picture (it must hold
// needed_region), subtract its corner: parameters.crop.top -= decoded.top, .left likewise.
void apply_view(const Image& image, const ViewParameters& parameters, int size,
                std::uint8_t* out /*[size,size,3]*/, AugmentScratch& scratch);

// draw_view, then apply_view. The image is not empty.
void make_view(const Image& image, const Recipe& recipe, int size, RandomStream& random,
               std::uint8_t* out /*[size,size,3]*/, AugmentScratch& scratch);

}  // namespace kindred
