// A graph of cuDNN operations. What runs it is a plan: cudnn_plan.h.
//
//   Graph graph;
//   const int x = graph.tensor(DType::bf16, {n, c, h, w}), ...;
//   graph.convolution(Graph::Kind::forward, x, w, y, {.stride = 1, .pad = 1});
//
// Images are NHWC and filters KRSC in memory; cuDNN's dimensions are named in the order [n, c, h, w].
#pragma once

#include <kindred/engine/dtype.h>
#include <kindred/third_party/cudnn_library.h>

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
  enum class Kind { forward, backward_data, backward_weight };
  using Dimensions = std::array<std::int64_t, 4>;  // n, c, h, w; of filters k, c, kh, kw

  // Every address that a plan is given is a multiple of `alignment` bytes, or of an element where that is
  // larger: 16, or for slower engines less.
  explicit Graph(std::int64_t alignment = 16) : alignment_(alignment) {}

  // The number by which operations and plans know the tensor. A virtual one never reaches memory.
  int tensor(DType dtype, const Dimensions& dimensions, bool is_virtual = false);
  int mask(const Dimensions& dimensions);  // a bit an element
  // One float, read from host memory when a plan is started.
  int scalar();

  // The letters are the gradients in the backward kinds; the result is y, x or w.
  void convolution(Kind kind, int x, int w, int y, const Window& window);
  void add(int a, int b, int sum);
  // A NaN stays one: cuDNN is asked for it, and the kernels that 9.19 compiles for sm_90 take what is not below
  // zero or equal to it, a NaN too, as their machine code shows.
  void relu(int x, int y);
  void is_greater(int a, int b, int mask);   // a bit an element, `b` may be a scalar
  void multiply(int a, int b, int product);  // `b` may be a mask

  // Training's batch norm over n, h and w. All of these are f32 [1, c, 1, 1], epsilon a scalar; forward reads
  // scale, bias and epsilon and writes mean and inv_std; backward reads scale, mean and inv_std and writes
  // d_scale and d_bias.
  struct BatchNormTensors {
    int scale, bias, epsilon, mean, inv_std, d_scale, d_bias;
  };
  void batch_norm(int x, const BatchNormTensors& tensors, int y);
  void batch_norm_gradient(int dy, int x, const BatchNormTensors& tensors, int dx);

  struct TensorInfo {
    DType dtype;  // of a mask: u8, eight elements in each
    Dimensions dimensions;
    bool is_virtual, is_scalar;
    std::size_t bytes() const;
  };
  const std::vector<TensorInfo>& tensors() const { return infos_; }

  // The descriptor of the whole; nothing may be added afterwards. False where cuDNN rejects the graph.
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
