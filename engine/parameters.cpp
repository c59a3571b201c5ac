#include <kindred/engine/parameters.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::int64_t parameter_alignment = 64;  // elements

// Sets `offsets` to the place of each. Returns how many elements they take.
template <typename Declared>
std::int64_t lay_out(const Declared& declared, std::vector<std::int64_t>& offsets) {
  std::int64_t total = 0;
  offsets.clear();
  for (const auto& each : declared) {
    offsets.push_back(total);
    const std::int64_t padded = each.shape.numel() + parameter_alignment - 1;
    total += padded / parameter_alignment * parameter_alignment;
  }
  return total;
}

}  // namespace

Initializer constant_init(float value) {
  return [value](std::vector<float>& values, RandomStream&) { std::fill(values.begin(), values.end(), value); };
}

Initializer uniform_init(float bound) {
  return [bound](std::vector<float>& values, RandomStream& random) {
    for (float& value : values) value = random.uniform(-bound, bound);
  };
}

Initializer normal_init(float deviation) {
  return [deviation](std::vector<float>& values, RandomStream& random) {
    for (float& value : values) value = deviation * random.normal();
  };
}

const Tensor& Parameter::as(DType dtype) const {
  if (value.dtype() == dtype) return value;
  check(low.defined() && low.dtype() == dtype, ExitCode::internal, "{} has no {} copy", name,
        kindred::name(dtype));
  return low;
}

Parameter& ParameterStore::add(std::string name, Shape shape, ParameterKind kind, Initializer initialize) {
  for (const Parameter& other : parameters_)
    check(other.name != name, ExitCode::internal, "two parameters are called {}", name);
  check(!values_.defined(), ExitCode::internal, "{} was declared after the parameters were allocated", name);
  return parameters_.emplace_back(
      Parameter{std::move(name), shape, kind, std::move(initialize), Tensor(), Tensor(), Tensor()});
}

Buffer& ParameterStore::add_buffer(std::string name, Shape shape, float initial) {
  for (const Buffer& other : buffers_)
    check(other.name != name, ExitCode::internal, "two buffers are called {}", name);
  return buffers_.emplace_back(Buffer{std::move(name), shape, initial, Tensor()});
}

void ParameterStore::allocate(Device device, std::uint64_t seed, DType compute, DType master) {
  const std::int64_t total = lay_out(parameters_, offsets_);
  values_ = Tensor::zeros({total}, master, device);
  gradients_ = Tensor::zeros({total}, master, device);
  if (size_of(compute) < size_of(master) && compute != DType::f32)
    low_ = Tensor::zeros({total}, compute, device);

  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    parameter.value = values_.window(offsets_[i], parameter.shape);
    parameter.gradient = gradients_.window(offsets_[i], parameter.shape);
    parameter.value.set_requires_grad();
    parameter.value.set_needs_gradient_buffer();
    if (low_.defined()) {
      parameter.low = low_.window(offsets_[i], parameter.shape);
      parameter.low.stand_for(parameter.value);
    }
    if (device == Device::plan) continue;  // shapes only
    std::vector<float> initial(static_cast<std::size_t>(parameter.shape.numel()));
    RandomStream random(seed, Purpose::initialize, 0, static_cast<std::uint32_t>(i));
    parameter.initialize(initial, random);
    parameter.value.copy_from(Tensor::from(initial, parameter.shape, device));
  }
  const std::int64_t in_buffers = lay_out(buffers_, buffer_offsets_);
  if (in_buffers > 0) buffer_values_ = Tensor::zeros({in_buffers}, master, device);
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    buffers_[i].value = buffer_values_.window(buffer_offsets_[i], buffers_[i].shape);
    buffers_[i].value.fill(buffers_[i].initial);
  }
  refresh_low_precision();
}

void ParameterStore::refresh_low_precision() {
  if (low_.defined()) low_.copy_from(values_);
}

void ParameterStore::set_trainable(bool trainable) {
  for (Parameter& parameter : parameters_) {
    parameter.value.set_requires_grad(trainable);
    if (parameter.low.defined()) parameter.low.set_requires_grad(trainable);
  }
}

void ParameterStore::attach(Tape& tape, bool accumulate) {
  for (Parameter& parameter : parameters_)
    tape.set_gradient_buffer(parameter.value, parameter.gradient, accumulate);
}

const Parameter& ParameterStore::find(const std::string& name) const {
  for (const Parameter& parameter : parameters_)
    if (parameter.name == name) return parameter;
  fail(ExitCode::internal, "there is no parameter called {}", name);
}

std::vector<std::pair<std::string, Tensor>> ParameterStore::tensors(const std::string& prefix) const {
  std::vector<std::pair<std::string, Tensor>> all;
  for (const Parameter& parameter : parameters_) all.emplace_back(prefix + parameter.name, parameter.value);
  for (const Buffer& buffer : buffers_) all.emplace_back(prefix + buffer.name, buffer.value);
  return all;
}

std::int64_t ParameterStore::parameter_count() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.shape.numel();
  return count;
}

}  // namespace kindred
