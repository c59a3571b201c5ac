// Reverse-mode differentiation on a flat list, eager.
//
// A differentiable function runs its forward kernel and, if a tape is active and an input asks for a gradient,
// appends one entry: {operation, inputs, outputs, saved, backward}. `backward()` walks the list from the end:
// execution order is already topological, so there is no recursion and no graph. What the backward step needs
// is listed in `saved`, never hidden in a capture, so that memory can be printed; it dies as the walk passes
// it.
//
// Kernels write and the tape adds. A backward step asks for a place to write the gradient of an input; when
// that input already has a gradient (it was used more than once) the tape adds the two. A kernel that can add
// for free takes the gradient so far as an addend instead.
#pragma once

#include <kindred/engine/tensor.h>

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kindred {

// The name of a differentiable operation. Each is one static object in the .cpp of its folder; the constructor
// puts it on the list that the gradient registry (tests/gradcheck) must cover.
class Operation {
 public:
  explicit Operation(const char* name);
  const char* name() const { return name_; }
  static const std::vector<const Operation*>& all();

 private:
  const char* name_;
};

class BackwardStep;
using BackwardFunction = std::function<void(BackwardStep&)>;

class Tape {
 public:
  // What the tape remembers of a tensor: enough to make its gradient, nothing that keeps its bytes alive.
  struct Edge {
    std::uint64_t id = 0;
    Shape shape;
    DType gradient_dtype = DType::f32;
    Device device = Device::cpu;
    bool requires_grad = false;
  };
  struct Entry {
    const Operation* operation;
    std::string label;  // the layer that ran it: "layer1.0.conv2"
    std::vector<Edge> inputs;
    std::vector<Edge> outputs;
    std::vector<Tensor> saved;
    BackwardFunction backward;
  };

  // Makes this the active tape of the thread until it is destroyed; tapes nest.
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // The active tape if any of the inputs requires a gradient, otherwise null. Undefined tensors are skipped.
  static Tape* recording(std::initializer_list<const Tensor*> inputs);

  // Appends an entry and marks the outputs as requiring a gradient.
  void record(const Operation& operation, std::initializer_list<const Tensor*> inputs,
              std::initializer_list<Tensor*> outputs, std::vector<Tensor> saved, BackwardFunction backward);

  // Gradients of the leaf `tensor` go to `gradient` (same shape), which the caller owns and which lives on: the
  // first gradient of a backward pass overwrites it, or is added when `accumulate` is set. One that no gradient
  // reaches is set to zero.
  void set_gradient_buffer(const Tensor& tensor, const Tensor& gradient, bool accumulate = false);

  // Walks the list in reverse from `output` with the given cotangent (default: one, for a scalar). The list is
  // consumed; gradients of leaves stay readable through gradient().
  void backward(const Tensor& output, const Tensor& cotangent = {});

  // The gradient of a tensor after backward(); undefined when nothing flowed to it or it was not a leaf.
  Tensor gradient(const Tensor& tensor) const;

  const std::vector<Entry>& entries() const { return entries_; }

  // Whether this thread is inside backward().
  static bool is_walking_back();

 private:
  friend class BackwardStep;
  struct GradientBuffer {
    Tensor tensor;
    bool holds_gradient = false;  // so the next one must be added
  };

  void add_gradient(const Edge& edge, const Tensor& gradient, bool replaces);

  Tape* outer_;
  std::vector<Entry> entries_;
  std::unordered_map<std::uint64_t, Tensor> gradients_;
  std::unordered_map<std::uint64_t, GradientBuffer> buffers_;
};

// What a backward function sees: the gradients of its outputs, and places for those of its inputs.
class BackwardStep {
 public:
  const Tensor& saved(int index) const { return entry_.saved[static_cast<std::size_t>(index)]; }
  // Undefined when no gradient flowed to that output. At least one output's is defined.
  const Tensor& output_gradient(int index = 0) const {
    return output_gradients_[static_cast<std::size_t>(index)];
  }
  bool wants(int input) const { return edge(input).requires_grad; }
  // A tensor of the input's shape for the kernel to overwrite in full. Ask only when wants(input).
  Tensor input_gradient(int input);
  // The gradient that the input has so far, or undefined. Taking it promises that the kernel's result includes
  // it. Not for an operation that may get the same tensor twice.
  Tensor take_addend(int input);
  // Hands on a gradient without computing one (an addition passes its own through). It must not be written
  // later.
  void pass_gradient(int input, const Tensor& gradient);

 private:
  friend class Tape;
  struct Written {
    int input;
    Tensor gradient;
    bool includes_addend;
  };

  BackwardStep(Tape& tape, const Tape::Entry& entry) : tape_(tape), entry_(entry) {}
  const Tape::Edge& edge(int input) const { return entry_.inputs[static_cast<std::size_t>(input)]; }

  Tape& tape_;
  const Tape::Entry& entry_;
  std::vector<Tensor> output_gradients_;
  std::vector<Written> written_;
  std::vector<int> addends_taken_;
};

// Nothing is recorded while one of these lives: evaluation, feature extraction.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape* outer_;
};

// Names the layer that runs while one of these lives, for reports. The text must live as long.
class TapeLabel {
 public:
  explicit TapeLabel(std::string_view label);
  ~TapeLabel();
  TapeLabel(const TapeLabel&) = delete;
  TapeLabel& operator=(const TapeLabel&) = delete;

  static std::string_view current();  // empty where there is none

 private:
  std::string_view outer_;
};

}  // namespace kindred
