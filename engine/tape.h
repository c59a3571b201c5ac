// Reverse-mode differentiation on a flat list, executed eagerly.
//
// A differentiable function runs its forward kernel. If a tape is active and an input requires a gradient, it
// also appends one entry: {operation, inputs, outputs, saved, backward}. `backward()` walks the list from the
// end: execution order is already topological, so neither recursion nor a graph is needed. Everything that a
// backward step needs is listed in `saved`, never hidden in a lambda's capture, so that memory use can be
// reported. It is freed as soon as the walk has passed the entry.
//
// Kernels write and the tape adds. A backward step asks for a tensor in which to write the gradient of an
// input. If that input already has a gradient (it was used more than once), the tape adds the two. An addition of its
// own reads two tensors and writes one, which two kinds of operations can save:
//
//   one that uses the tensor   takes the gradient so far as an addend of its kernel (take_addend): convolutions
//   one that made the tensor   is given both gradients and adds them where it reads them (Addition::by_operation):
//                              batch norms
//
// A kernel may write the gradient of a parameter in 16 bits (pass_narrow_gradient). The tape keeps such gradients and
// converts them together, because a launch for each would take longer than the conversion.
#pragma once

#include <kindred/engine/widening.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace kindred {

// The name of a differentiable operation. Each operation is one static object in the .cpp of its folder. The
// constructor registers it in the list that the gradient registry (tests/gradcheck) must cover.
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

// Who adds the gradients of an operation's output that is used more than once. The tape: the backward step gets their
// sum. The operation: its backward step gets up to two (BackwardStep::take_output_gradients) and uses their sum, rounded
// to the type of gradients. If there are more than two, the tape adds all but the last.
enum class Addition { by_tape, by_operation };

class Tape {
 public:
  // What the tape remembers of a tensor: enough to create its gradient, but nothing that keeps its memory
  // alive.
  struct Edge {
    std::uint64_t id = 0;
    Shape shape;
    DType gradient_dtype = DType::f32;
    Device device = Device::cpu;
    bool requires_grad = false;
    bool needs_buffer = false;  // Tensor::needs_gradient_buffer()
  };
  struct Entry {
    const Operation* operation;
    std::string label;  // the layer that ran the operation: "layer1.0.conv2"
    std::vector<Edge> inputs;
    std::vector<Edge> outputs;
    std::vector<Tensor> saved;
    BackwardFunction backward;
  };

  // Makes this the active tape of the thread until it is destroyed. Tapes can be nested.
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Returns the active tape if any input requires a gradient, and null otherwise. Undefined tensors are
  // ignored.
  static Tape* recording(std::initializer_list<const Tensor*> inputs);

  // Appends an entry and marks the outputs as requiring a gradient.
  void record(const Operation& operation, std::initializer_list<const Tensor*> inputs,
              std::initializer_list<Tensor*> outputs, std::vector<Tensor> saved, BackwardFunction backward,
              Addition addition = Addition::by_tape);

  // Writes the gradient of the leaf `tensor` to `gradient` (same shape), which the caller owns and which
  // outlives the tape. The first gradient of a backward pass overwrites it, or is added if `accumulate` is set.
  // If no gradient reaches the leaf, `gradient` is set to zero.
  void set_gradient_buffer(const Tensor& tensor, const Tensor& gradient, bool accumulate = false);

  // Walks the list in reverse from `output` with the given cotangent (default: one, for a scalar). The list is
  // consumed. The gradients of leaves can be read afterwards with gradient().
  //
  // Throws Error(internal) where gradients would silently be zero or lost: if `output` is undefined, depends on nothing
  // recorded, or was recorded on another tape or walked back already; and if a gradient belongs to a parameter whose
  // store is not attached to this tape (ParameterStore::attach).
  void backward(const Tensor& output, const Tensor& cotangent = {});

  // For work that goes on beside backward(), such as sums over processes. To be set before it; what is called must not
  // change the tape. `tell` is called once for each leaf that has a gradient buffer, with the leaf's id, as soon as
  // backward() no longer writes to that buffer. Leaves that no entry uses come last, in any order.
  void when_gradient_is_final(std::function<void(std::uint64_t id)> tell) { tell_final_ = std::move(tell); }
  // `call` is called after each entry.
  void after_each_entry(std::function<void()> call) { after_entry_ = std::move(call); }

  // The gradient of a tensor after backward(). Undefined if no gradient reached it or if it was not a leaf.
  Tensor gradient(const Tensor& tensor) const;

  const std::vector<Entry>& entries() const { return entries_; }

  // Returns true while this thread is inside backward().
  static bool is_walking_back();

 private:
  friend class BackwardStep;
  struct GradientBuffer {
    Tensor tensor;
    bool holds_gradient = false;  // if true, the next gradient must be added
    bool is_final = false;        // this walk does not write to it any more
    bool is_waited_for = false;   // by a narrow gradient that has not been converted
  };
  // What a tensor has got so far in a walk. A second gradient is pending only if the entry that made the tensor adds the
  // two itself, and only until that entry's turn.
  struct Gradients {
    Tensor first, second;
    Tensor sum() const;  // a new tensor if there are two
  };
  // The entry with which a walk is done with a buffer, by the id of the leaf: the first one that uses the leaf.
  using LastEntries = std::unordered_map<std::uint64_t, std::size_t>;

  void add_gradient(const Edge& edge, const Tensor& gradient, bool replaces);
  void differentiate(const Entry& entry);
  LastEntries last_entries() const;
  void finish_buffer(std::uint64_t id, GradientBuffer& buffer);
  void convert_waiting();

  Tape* outer_;
  std::vector<Entry> entries_;
  std::unordered_map<std::uint64_t, Gradients> gradients_;
  std::unordered_set<std::uint64_t> added_by_maker_;  // outputs of entries with Addition::by_operation
  std::unordered_map<std::uint64_t, GradientBuffer> buffers_;
  std::function<void(std::uint64_t)> tell_final_;
  std::function<void()> after_entry_;
  // Narrow gradients that wait for their conversion, the bytes that they keep, and the buffers that are final but for it.
  std::vector<Widening> waiting_;
  Widen widen_ = nullptr;
  std::size_t waiting_bytes_ = 0;
  std::vector<std::uint64_t> tell_later_;
};

// What a backward function gets: the gradients of its outputs, and tensors to write the gradients of its inputs
// to.
class BackwardStep {
 public:
  // The tensors that were given to record() as `saved`, to be named: `const auto [x, filters] =
  // step.saved<2>();`
  template <std::size_t count>
  std::array<Tensor, count> saved() const {
    check(entry_.saved.size() == count, ExitCode::internal, "{}: {} tensors were saved, not {}",
          entry_.operation->name(), entry_.saved.size(), count);
    std::array<Tensor, count> tensors;
    std::copy(entry_.saved.begin(), entry_.saved.end(), tensors.begin());
    return tensors;
  }
  const std::vector<Tensor>& saved() const { return entry_.saved; }  // where their number varies
  // Undefined if no gradient reached that output. At least one output has a defined gradient. Not for entries with
  // Addition::by_operation.
  const Tensor& output_gradient(int index = 0) const {
    const Tape::Gradients& gradients = output_gradients_[static_cast<std::size_t>(index)];
    check(!gradients.second.defined(), ExitCode::internal, "{}: an output has two gradients; take both",
          entry_.operation->name());
    return gradients.first;
  }
  // Both gradients of an output, for entries with Addition::by_operation, which add them. If only one is defined, it is
  // the first. The step lets go of them: their memory returns to the pool with these handles.
  struct OutputGradients {
    Tensor first, second;
  };
  OutputGradients take_output_gradients(int index = 0);
  bool wants(int input) const { return edge(input).requires_grad; }
  // A tensor of the input's shape, which the kernel must overwrite completely. Call it only if wants(input).
  Output input_gradient(int input);
  // Returns the gradient that the input has so far, or an undefined tensor. A caller that takes it promises
  // that the kernel's result includes it. Not for operations that may get the same tensor as two inputs.
  Tensor take_addend(int input);
  // Whether the operation that made the input adds two gradients of it at no cost. Then a kernel to which an addend
  // costs a pass over memory should not take it.
  bool is_added_by_maker(int input) const { return tape_.added_by_maker_.contains(edge(input).id); }
  // Passes on a gradient without computing one (an addition passes its own through). It must not be written to
  // later.
  void pass_gradient(int input, const Tensor& gradient);
  // Passes on a gradient in 16 bits, perhaps with a longer last axis than the input's: `widen` turns it into the input's
  // f32 gradient. For a parameter with a buffer that is done later, before anything reads the buffer. It must not be
  // written to later. Not for operations that may get the same tensor as two inputs.
  void pass_narrow_gradient(int input, const Tensor& gradient, Widen widen);

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
  std::vector<Tape::Gradients> output_gradients_;
  std::vector<Written> written_;
  std::vector<int> addends_taken_;
};

// While a NoGrad exists, nothing is recorded. For evaluation and feature extraction.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape* outer_;
};

// While a TapeLabel exists, it names the running layer in reports. The text must live as long as the label.
class TapeLabel {
 public:
  explicit TapeLabel(std::string_view label);
  ~TapeLabel();
  TapeLabel(const TapeLabel&) = delete;
  TapeLabel& operator=(const TapeLabel&) = delete;

  static std::string_view current();  // empty if there is none

 private:
  std::string_view outer_;
};

}  // namespace kindred
