// A graph of cuDNN operations. A plan (plan.h) executes it.
//
//   Graph graph;
//   const int x = graph.tensor(DType::bf16, {n, c, h, w}), ...;
//   graph.convolution(ConvPass::forward, x, w, y, {.stride = 1, .pad = 1});
//
// Images are NHWC and filters KRSC in memory; cuDNN's dimensions are named in the order [n, c, h, w].
#pragma once

#include <kindred/engine/dtype.h>
#include <kindred/engine/kernels/conv_shape.h>
#include <kindred/third_party/cudnn/library.h>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

namespace kindred::cudnn {

struct Window {
  std::int64_t stride = 1;
  std::int64_t pad = 0;  // on each side
};

class Graph {
 public:
  using Dimensions = std::array<std::int64_t, 4>;  // n, c, h, w; for filters k, c, kh, kw

  // Every address given to a plan is a multiple of `alignment` bytes, or of the element size if that is larger.
  // The alignment is normally 16; a smaller one allows only slower engines.
  explicit Graph(std::int64_t alignment = 16) : alignment_(alignment) {}

  // Returns the number by which operations and plans refer to the tensor. A virtual tensor is never written to
  // memory.
  int tensor(DType dtype, const Dimensions& dimensions, bool is_virtual = false);
  int mask(const Dimensions& dimensions);  // one bit per element
  // One float, which is read from host memory when a plan is started.
  int scalar();

  // In the backward passes the letters stand for the gradients. The result is y, x or w.
  void convolution(ConvPass pass, int x, int w, int y, const Window& window);
  void add(int a, int b, int sum);
  // A NaN stays a NaN. cuDNN is asked to propagate it, and the machine code that 9.19 compiles for sm_90 does
  // so: it keeps what is not less than or equal to zero, so also a NaN.
  void relu(int x, int y);
  void is_greater(int a, int b, int mask);   // one bit per element; `b` may be a scalar
  void multiply(int a, int b, int product);  // `b` may be a mask

  // Batch norm for training, over n, h and w. All of these are f32 [1, c, 1, 1], except epsilon, which is a
  // scalar. forward reads scale, bias and epsilon and writes mean and inv_std; backward reads scale, mean and
  // inv_std and writes d_scale and d_bias.
  struct BatchNormTensors {
    int scale, bias, epsilon, mean, inv_std, d_scale, d_bias;
  };
  void batch_norm(int x, const BatchNormTensors& tensors, int y);
  void batch_norm_gradient(int dy, int x, const BatchNormTensors& tensors, int dx);

  struct TensorInfo {
    DType dtype;  // for a mask: u8, with eight elements in each
    Dimensions dimensions;
    bool is_virtual, is_scalar;
    std::size_t bytes() const;
  };
  const std::vector<TensorInfo>& tensors() const { return infos_; }

  // Creates the descriptor of the whole graph; nothing may be added afterwards. Returns false if cuDNN rejects
  // the graph.
  bool finalize();
  const Descriptor& descriptor() const { return *graph_; }

 private:
  int describe(const TensorInfo& info);
  void pointwise(cudnnPointwiseMode_t mode,
                 std::initializer_list<std::pair<cudnnBackendAttributeName_t, int>> tensors);
  void set_tensors(Descriptor& operation,
                   std::initializer_list<std::pair<cudnnBackendAttributeName_t, int>> tensors) const;

  std::int64_t alignment_;
  std::vector<TensorInfo> infos_;
  std::vector<Descriptor> tensors_, parts_, operations_;
  std::optional<Descriptor> graph_;
};

}  // namespace kindred::cudnn
