// The raw kernel that turns image bytes into the input of a network.
#pragma once

#include <kindred/layers/image_input/image_input.h>

namespace kindred {

struct ImageInputKernels {
  // y[n, h, w, c] = (images / 255 - mean) / deviation in the first three channels, and zero in the others; images are
  // u8 [n, h, w, 3]. c is 3; on cuda also 8, in 16 bits.
  void (*normalize)(const Tensor& images, const PixelStatistics& statistics, Output y);
};
extern const ImageInputKernels image_input_reference;    // f32, f64
extern const ImageInputKernels image_input_cpu;          // f32, bf16
extern const ImageInputKernels image_input_plan;         // see plan.cpp
extern const ImageInputKernels* const image_input_cuda;  // null in a build without CUDA

const ImageInputKernels& image_input_kernels(Device device);

}  // namespace kindred
