#include <kindred/engine/kernels.h>
#include <kindred/layers/image_input/image_input.h>

namespace kindred {

const ImageInputKernels& image_input_kernels(Device device) {
  return select_kernels("image_input", device, image_input_reference, image_input_cpu, image_input_cuda,
                        image_input_plan);
}

const PixelStatistics& pixel_statistics(std::string_view name) {
  if (name == "imagenet") return imagenet_pixels;
  if (name == "cifar10") return cifar10_pixels;
  if (name == "cifar100") return cifar100_pixels;
  fail(ExitCode::usage, "unknown pixels {}: expected one of imagenet, cifar10, cifar100", name);
}

Tensor normalize_images(const Tensor& images, const PixelStatistics& statistics, DType dtype) {
  check(images.shape().rank() == 4 && images.dim(3) == 3 && images.dtype() == DType::u8, ExitCode::internal,
        "normalize_images: expected u8 [n, h, w, 3], not {} {}", name(images.dtype()), images.shape());
  Tensor y = Tensor::empty(images.shape(), dtype, images.device());
  image_input_kernels(images.device()).normalize(images, statistics, y);
  return y;
}

}  // namespace kindred
