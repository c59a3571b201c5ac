#include <kindred/engine/kernels/select.h>
#include <kindred/engine/names.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/layers/image_input/kernels.h>

namespace kindred {
namespace {

constexpr Named<PixelStatistics> training_sets[] = {
    {imagenet_pixels, "imagenet"}, {cifar10_pixels, "cifar10"}, {cifar100_pixels, "cifar100"}};

}  // namespace

const ImageInputKernels& image_input_kernels(Device device) {
  return select_kernels("image_input", device, image_input_reference, image_input_cpu, image_input_cuda,
                        image_input_plan);
}

const PixelStatistics& pixel_statistics(std::string_view name) {
  if (const auto* set = entry_named(training_sets, name)) return set->value;
  fail(ExitCode::usage, "unknown pixels {}: expected one of {}", name, names_of(training_sets));
}

std::int64_t input_channels(Device device, DType dtype) {
  constexpr std::int64_t colours = 3;
  return is_for_cuda(device) ? channels_on_cuda(colours, dtype) : colours;
}

Tensor normalize_images(const Tensor& images, const PixelStatistics& statistics, DType dtype) {
  check(images.shape().rank() == 4 && images.dim(3) == 3 && images.dtype() == DType::u8, ExitCode::internal,
        "normalize_images: expected u8 [n, h, w, 3], not {} {}", name(images.dtype()), images.shape());
  const Shape shape{images.dim(0), images.dim(1), images.dim(2), input_channels(images.device(), dtype)};
  Tensor y = Tensor::empty(shape, dtype, images.device());
  image_input_kernels(images.device()).normalize(images, statistics, Output(y));
  return y;
}

}  // namespace kindred
