// Plans of convolutions, chosen once for each shape and then kept.
#pragma once

#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/engine/tensor.h>
#include <kindred/third_party/cudnn/plan.h>

#include <compare>
#include <string>

namespace kindred::cudnn {

// The tensors of its graph are 0 images, 1 filters, 2 results (as Graph::convolution names them), and 3 the
// addend of a data gradient.
struct ConvolutionKey {
  ConvPass pass;
  DType dtype;         // of x and y
  DType weight_dtype;  // of the filters, or of their gradient
  ConvShape shape;     // with the channels that the GPU computes with
  bool with_addend = false;
  int alignment = 16;  // in bytes, of every address: 16, or the size of an element
  auto operator<=>(const ConvolutionKey&) const = default;
  std::string to_string() const;  // "forward bf16 256x56x56x64 -> 64, 3x3, stride 1, pad 1"
};

Graph graph_of(const ConvolutionKey& key);

// Returns the fastest plan that the rules of the plan book allow, or null if no engine supports the
// convolution. With an addend it also returns null if a separate addition is faster. The first call for a key
// times the candidates, unless the book has its plan. The pointer is valid until the rules change.
const Plan* plan_for(const ConvolutionKey& key);

}  // namespace kindred::cudnn
