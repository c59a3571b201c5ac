// The trainable parameters and the buffers of a model: named, and flat in memory.
//
// A model declares its parameters by name and shape. allocate() then puts all values into one allocation and
// all gradients into another, so that one launch updates them and few collectives reduce them. Master values
// are float32 (float64 for checks). A low-precision copy, also flat, is used in the forward and backward pass.
#pragma once

#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// What a parameter is. Optimizers group parameters by kind; LARS, for example, treats normalization and biases
// differently.
enum class ParameterKind : std::uint8_t { weight, bias, normalization };

// Fills `values` (on the host, f32, any shape) with initial values.
using Initializer = std::function<void(std::vector<float>& values, RandomStream& random)>;

Initializer constant_init(float value);
Initializer uniform_init(float bound);     // uniform in [-bound, bound)
Initializer normal_init(float deviation);  // mean zero

// The type of the masters of values that are computed with in this type: f32; f64 for f64.
inline DType master_type(DType compute) {
  return compute == DType::f64 ? DType::f64 : DType::f32;
}

struct Parameter {
  std::string name;  // torchvision's name: "layer1.0.conv1.weight"
  Shape shape;
  ParameterKind kind;
  Initializer initialize;
  Tensor value;     // the master: f32 (or f64)
  Tensor gradient;  // same type; each backward pass overwrites it
  Tensor low;       // bf16 copy of the value; undefined if the store has none

  // The value in the type of the activations that it is used with. Its gradient is the gradient of the master.
  const Tensor& as(DType dtype) const;
};

// State that is saved with the model but not trained, such as running statistics.
struct Buffer {
  std::string name;
  Shape shape;
  float initial;
  Tensor value;
};

class ParameterStore {
 public:
  ParameterStore() = default;
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // Declare a parameter or buffer. The references stay valid. A name must not be used twice.
  Parameter& add(std::string name, Shape shape, ParameterKind kind, Initializer initialize);
  Buffer& add_buffer(std::string name, Shape shape, float initial);

  // Allocates everything on `device` and initializes it from `seed`. Each parameter has its own random stream,
  // keyed by its position in the list. With `compute` bf16 the low-precision copies are allocated too.
  void allocate(Device device, std::uint64_t seed, DType compute = DType::f32, DType master = DType::f32);
  void refresh_low_precision();

  // Sets whether operations recorded from now on compute the parameters' gradients. Initially they do.
  void set_trainable(bool trainable);

  // Tells the tape where gradients go. With `accumulate` they are added to what the buffers hold.
  void attach(Tape& tape, bool accumulate = false);

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  std::deque<Buffer>& buffers() { return buffers_; }
  const std::deque<Buffer>& buffers() const { return buffers_; }
  const Parameter& find(const std::string& name) const;
  // The live values of all parameters and buffers, each with its name after `prefix`.
  std::vector<std::pair<std::string, Tensor>> tensors(const std::string& prefix = "") const;
  std::int64_t parameter_count() const;

  const Tensor& flat_values() const { return values_; }
  const Tensor& flat_gradients() const { return gradients_; }
  const Tensor& flat_low() const { return low_; }
  // The offset of each parameter in the flat tensors, in elements.
  const std::vector<std::int64_t>& offsets() const { return offsets_; }

  // The buffers, flat like the parameters. Undefined if there are none.
  const Tensor& flat_buffers() const { return buffer_values_; }
  const std::vector<std::int64_t>& buffer_offsets() const { return buffer_offsets_; }

 private:
  std::deque<Parameter> parameters_;
  std::deque<Buffer> buffers_;
  std::vector<std::int64_t> offsets_, buffer_offsets_;
  // [elements], each parameter and buffer zero-padded to a multiple of 64 elements
  Tensor values_, gradients_, low_, buffer_values_;
};

}  // namespace kindred
