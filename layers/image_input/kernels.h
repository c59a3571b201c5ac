// The raw kernel that turns image bytes into the input of a network.
#pragma once

#include <kindred/engine/tensor.h>

#include <array>

namespace kindred {

// Per channel (red, green, blue), for pixel values scaled to [0, 1].
struct PixelStatistics {
  std::array<float, 3> mean;
  std::array<float, 3> deviation;
  bool operator==(const PixelStatistics&) const = default;
};

struct ImageInputKernels {
  // y[n, h, w, 3] = (images / 255 - mean) / deviation; images are u8 of the same shape.
  void (*normalize)(const Tensor& images, const PixelStatistics& statistics, const Tensor& y);
};
extern const ImageInputKernels image_input_reference;    // f32, f64
extern const ImageInputKernels image_input_cpu;          // f32, bf16
extern const ImageInputKernels image_input_plan;         // see plan.cpp
extern const ImageInputKernels* const image_input_cuda;  // null in a build without CUDA

const ImageInputKernels& image_input_kernels(Device device);

}  // namespace kindred
