// Views of pictures that stay on the GPU, for data sets of small pictures of one size, such as CIFAR.
//
// A view is drawn on the host by draw_view (augment.h), as for every other data set, so it is the same view
// with the same random numbers. Its pixels are computed on the GPU, where the pictures are. They agree with
// apply_view's within one level of 255: the resize rounds sums of floats that were added in a different order.
#pragma once

#include <kindred/data/views/augment.h>
#include <kindred/engine/tensor.h>

#include <optional>
#include <vector>

namespace kindred {

// ViewParameters in a form that a kernel can read.
struct ResidentView {
  enum Operation : std::int32_t { brightness, contrast, saturation, hue, gray };
  static constexpr int most_operations = 8;

  std::int32_t picture = 0;
  std::int32_t crop_top = 0, crop_left = 0, crop_height = 0, crop_width = 0;
  std::int32_t resized_height = 0, resized_width = 0, top = 0, left = 0;
  std::int32_t flip = 0, count = 0;
  std::int32_t operations[most_operations] = {};
  float values[most_operations] = {};  // the operations' factors; for the hue, turns
};

// Returns nullopt if the view needs an operation that the GPU does not support.
std::optional<ResidentView> resident_view(std::int64_t picture, const ViewParameters& parameters);

// The kernel's limits: the side of a view, and the number of picture pixels in a row that one pixel of a view
// may need.
inline constexpr int largest_resident_view = 64;
inline constexpr int most_resident_taps = 8;

// Returns true if the kernel can turn pictures of this size into views of `size` x `size`.
bool fits_resident_views(int height, int width, int size);

struct ResidentViewKernels {
  // Computes out, u8 [views, size, size, 3], from pictures, u8 [n, h, w, 3], and `views`, a u8 tensor that
  // holds ResidentViews.
  void (*make)(const Tensor& pictures, const Tensor& views, Output out);
};
extern const ResidentViewKernels* const resident_views_cuda;  // null in a build without CUDA
extern const ResidentViewKernels resident_views_plan;         // see engine/kernels/work.h

}  // namespace kindred
