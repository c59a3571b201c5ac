#include <kindred/data/loading/resident_views.h>
#include <kindred/engine/kernels/work.h>

#include <cmath>

namespace kindred {

namespace {

// Returns nullopt for an operation that the kernel does not support.
std::optional<ResidentView::Operation> resident_operation(ImageOperation operation) {
  switch (operation) {
    case ImageOperation::brightness:
      return ResidentView::brightness;
    case ImageOperation::contrast:
      return ResidentView::contrast;
    case ImageOperation::color:
      return ResidentView::saturation;
    case ImageOperation::hue:
      return ResidentView::hue;
    case ImageOperation::gray:
      return ResidentView::gray;
    default:
      return std::nullopt;
  }
}

const WorkKind make_kind("resident_views");

// An estimate: each colour of a pixel is a sum of about 4 x 4 pixels of the picture, followed by a few colour
// operations.
constexpr double operations_of_pixel = 300;

void plan_views(const Tensor&, const Tensor& views, Output out) {
  // A view reads about as many bytes of the picture as it has itself.
  record_work(make_kind, {.read = bytes_of({views, out}),
                          .written = bytes_of({out}),
                          .operations = operations_of_pixel / 3 * static_cast<double>(out.numel())});
}

}  // namespace

const ResidentViewKernels resident_views_plan = {plan_views};

std::optional<ResidentView> resident_view(std::int64_t picture, const ViewParameters& p) {
  ResidentView view;
  view.picture = static_cast<std::int32_t>(picture);
  view.crop_top = p.crop.top;
  view.crop_left = p.crop.left;
  view.crop_height = p.crop.height;
  view.crop_width = p.crop.width;
  view.resized_height = p.resized_height;
  view.resized_width = p.resized_width;
  view.top = p.top;
  view.left = p.left;
  view.flip = p.flip;
  for (int i = 0; i < p.count; ++i) {
    const DrawnOperation& drawn = p.operations[static_cast<std::size_t>(i)];
    if (drawn.operation == ImageOperation::identity) continue;
    const auto operation = resident_operation(drawn.operation);
    if (!operation || view.count == ResidentView::most_operations) return std::nullopt;
    view.operations[view.count] = *operation;
    view.values[view.count++] = drawn.value;
  }
  return view;
}

bool fits_resident_views(int height, int width, int size) {
  // The triangle covers twice the scale, plus one pixel, because both ends can be cut.
  const double scale = double(std::max(height, width)) / size;
  return size <= largest_resident_view && std::ceil(2 * std::max(scale, 1.0)) + 1 <= most_resident_taps;
}

}  // namespace kindred
