// Whether trained weights can be used at all. A step looks at its loss and gradients before its update, and nothing but the
// next step would look at what the update has made of the weights: after the last step there is none.
#pragma once

#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/contrastive_model.h>

#include <cstdint>

namespace kindred {

// Whether all parameters and running statistics are finite. Reads each once, on the host.
bool has_finite_weights(const ParameterStore& store);

// Whether the encoder's features of normalized images [n, h, w, 3] are finite, and the logits of a classifier. Finite
// weights of 1e36 give none that are.
bool has_finite_outputs(const ContrastiveModel& model, const Tensor& images);

// [count, side, side, 3] in `dtype`, the same noise in each image, normalized: images for has_finite_outputs().
Tensor noise_images(std::int64_t count, std::int64_t side, const PixelStatistics& statistics, DType dtype,
                    Device device);

}  // namespace kindred
