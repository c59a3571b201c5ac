// The views of an image: where they lie in a batch, and what was drawn for them. Internal to the loader.
#pragma once

#include <kindred/data/loading/sample_reader.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/recipe.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {

// A view of every image: how it is made, and its position in a batch.
struct ViewKind {
  const Recipe* recipe = nullptr;
  int size = 0;
  std::size_t bytes = 0;   // of one image
  std::size_t before = 0;  // bytes of the views before it, of one image
};

// In the order in which a batch holds them. They point into `groups`.
std::vector<ViewKind> view_kinds(const std::vector<ViewGroup>& groups);

// Draws all views of a sample as soon as its size is known, so that the needed pixels are decoded only once.
class DrawnViews : public WantedRegion {
 public:
  const std::vector<ViewKind>* kinds = nullptr;
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0, sample = 0, repeat = 0;
  std::vector<ViewParameters> views;  // [views]

  Region of(int height, int width) override;
};

}  // namespace kindred
