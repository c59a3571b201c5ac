// The trainable parameters and the buffers of a model: named, and flat in memory.
//
// A model declares its parameters by name and shape; allocate() then lays all values in one allocation and all
// gradients in another, so that one launch updates them and one collective reduces them. Master values are
// float32 (float64 for checks); a low-precision copy, again flat, serves the forward and backward pass.
#pragma once

#include <kindred/engine/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// What a parameter is, which is what optimizers group by (LARS leaves normalization and biases out, for
// example).
enum class ParameterKind : std::uint8_t { weight, bias, normalization };

// Fills `values` (any shape, on the host, f32) with initial values.
using Initializer = std::function<void(std::vector<float>& values, RandomStream& random)>;

Initializer constant_init(float value);
Initializer uniform_init(float bound);     // uniform in [-bound, bound)
Initializer normal_init(float deviation);  // mean zero

struct Parameter {
  std::string name;  // torchvision's: "layer1.0.conv1.weight"
  Shape shape;
  ParameterKind kind;
  Initializer initialize;
  Tensor value;     // the master: f32 (or f64)
  Tensor gradient;  // same type; overwritten by each backward pass
  Tensor low;       // bf16 copy of the value, defined when the store has one

  // The value in the type of the activations it meets. Its gradient is that of the master.
  const Tensor& as(DType dtype) const;
};

// State that is saved with the model but not trained: running statistics.
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

  // Declare; the references stay valid. Names must be new.
  Parameter& add(std::string name, Shape shape, ParameterKind kind, Initializer initialize);
  Buffer& add_buffer(std::string name, Shape shape, float initial);

  // Allocates everything on `device` and initializes it from `seed`: each parameter from a stream of its own,
  // keyed by its place in the list. `compute` bf16 adds the low-precision copies.
  void allocate(Device device, std::uint64_t seed, DType compute = DType::f32, DType master = DType::f32);
  void refresh_low_precision();

  // Whether what is recorded from now on asks for the parameters' gradients; they are trainable until told
  // otherwise.
  void set_trainable(bool trainable);

  // Tells the tape where gradients go. `accumulate` adds to what the buffers hold.
  void attach(Tape& tape, bool accumulate = false);

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  std::deque<Buffer>& buffers() { return buffers_; }
  const std::deque<Buffer>& buffers() const { return buffers_; }
  const Parameter& find(const std::string& name) const;
  // The live values of all parameters and buffers, with their names behind `prefix`.
  std::vector<std::pair<std::string, Tensor>> tensors(const std::string& prefix = "") const;
  std::int64_t parameter_count() const;

  const Tensor& flat_values() const { return values_; }
  const Tensor& flat_gradients() const { return gradients_; }
  const Tensor& flat_low() const { return low_; }
  // Where each parameter starts in the flat tensors, in elements.
  const std::vector<std::int64_t>& offsets() const { return offsets_; }

 private:
  std::deque<Parameter> parameters_;
  std::deque<Buffer> buffers_;
  std::vector<std::int64_t> offsets_;
  Tensor values_, gradients_,
      low_;  // [elements], each parameter padded to a multiple of 64 elements with zeros
};

}  // namespace kindred
