// Batch norm for training by cuDNN: one plan for statistics, normalization, addition and ReLU, and another one
// for all gradients. cuDNN compiles both for each shape.
#pragma once

#include <kindred/third_party/cudnn/plan.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace kindred::cudnn {

struct BatchNormKey {
  DType dtype;  // of images; per-channel tensors are f32
  std::int64_t n, h, w, c;
  bool relu, residual;  // a residual requires a ReLU
  auto operator<=>(const BatchNormKey&) const = default;
  std::string to_string() const;  // "batch norm of bf16 256x56x56x256, with a residual and ReLU"
};

// The tensors of the graphs, in this order. Per channel: scale, bias, mean, inv_std (1 over the standard
// deviation) and the gradients of scale and bias. epsilon and zero are scalars. The mask has a bit for each
// element that the ReLU passed. The order of its bits is known only to cuDNN, so only this backward pass can
// use the mask of this forward pass.
//   forward    0 x, 1 scale, 2 bias, 3 epsilon, 4 mean, 5 inv_std, 6 y; with a ReLU 7 zero, 8 mask; and
//              9 residual
//   backward   0 x, 1 scale, 2 mean, 3 inv_std, 4 dy, 5 dx, 6 d_scale, 7 d_bias; 8 mask; 9 d_residual
Graph forward_graph(const BatchNormKey& key);
Graph backward_graph(const BatchNormKey& key);

struct BatchNormPlans {
  Plan forward, backward;
};

// Returns the fastest plans, or null if no engine supports one of the graphs. The first call for a key times
// the candidates, unless the plan book has the plans. The pointer is valid until the rules change.
const BatchNormPlans* plans_for(const BatchNormKey& key);

// Returns true if there are plans and both together take less time than `otherwise`, which measures the two
// passes done another way, in milliseconds. If the plan book says that they are slower, nothing is compiled.
bool wins(const BatchNormKey& key, const std::function<float()>& otherwise);

}  // namespace kindred::cudnn
