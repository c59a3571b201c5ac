// The kernels of winograd.h and pixel_products.h as values: both need scratch memory, and take the same arguments.
#pragma once

#include <kindred/layers/conv2d/pixel_products.h>
#include <kindred/layers/conv2d/winograd.h>

namespace kindred {

struct ScratchKernels {
  decltype(&winograd::supports) supports;
  decltype(&winograd::scratch_floats) scratch_floats;
  decltype(&winograd::forward) forward;
  decltype(&winograd::backward_data) backward_data;
  decltype(&winograd::backward_weight) backward_weight;
};

inline constexpr ScratchKernels winograd_kernels = {winograd::supports, winograd::scratch_floats,
                                                    winograd::forward, winograd::backward_data,
                                                    winograd::backward_weight};

inline constexpr ScratchKernels pixel_product_kernels = {
    pixel_products::supports, pixel_products::scratch_floats, pixel_products::forward,
    pixel_products::backward_data, pixel_products::backward_weight};

}  // namespace kindred
