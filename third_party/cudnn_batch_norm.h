// Batch norm in training by cuDNN: statistics, normalization, addition and ReLU in one plan, all gradients in
// another. Both are compiled for their shape.
#pragma once

#include <kindred/third_party/cudnn_plan.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace kindred::cudnn {

struct BatchNormKey {
  DType dtype;  // of images; what each channel has is f32
  std::int64_t n, h, w, c;
  bool relu, residual;  // a residual only with a ReLU after it
  auto operator<=>(const BatchNormKey&) const = default;
  std::string to_string() const;  // "batch norm of bf16 256x56x56x256, with a residual and ReLU"
};

// Their tensors, in this order. Of each channel: scale, bias, mean, inv_std (1 over the standard deviation) and
// the gradients of scale and bias. epsilon and zero are scalars. The mask has a bit for each element that the
// ReLU let pass; in which order is cuDNN's affair, so that of one forward pass is for the backward pass here
// alone.
//   forward:  0 x, 1 scale, 2 bias, 3 epsilon, 4 mean, 5 inv_std, 6 y; with a ReLU: 7 zero, 8 mask; and 9
//   residual backward: 0 x, 1 scale, 2 mean, 3 inv_std, 4 dy, 5 dx, 6 d_scale, 7 d_bias; 8 mask; 9 d_residual
Graph forward_graph(const BatchNormKey& key);
Graph backward_graph(const BatchNormKey& key);

struct BatchNormPlans {
  Plan forward, backward;
};

// The fastest plans, or null where an engine is missing. The first call for a key times the candidates, unless
// the plan book knows them. Valid until the rules change.
const BatchNormPlans* plans_for(const BatchNormKey& key);

// Whether there are plans, and both take less than `otherwise`: milliseconds of the two passes done in another
// way. Where the plan book says that they do not, nothing is compiled.
bool wins(const BatchNormKey& key, const std::function<float()>& otherwise);

}  // namespace kindred::cudnn
