#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/tape.h>

#include <algorithm>

namespace kindred {
namespace {

thread_local Tape* active_tape = nullptr;
thread_local std::string_view active_label;
thread_local int walks_back = 0;  // active calls of backward()

std::vector<const Operation*>& operations() {
  static std::vector<const Operation*> list;
  return list;
}

Tape::Edge edge_of(const Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.id(),     tensor.shape(),         tensor.gradient_dtype(),
          tensor.device(), tensor.requires_grad(), tensor.needs_gradient_buffer()};
}

struct WalkBack {
  WalkBack() { ++walks_back; }
  ~WalkBack() { --walks_back; }
};

}  // namespace

Operation::Operation(const char* name) : name_(name) {
  operations().push_back(this);
}

const std::vector<const Operation*>& Operation::all() {
  return operations();
}

Tape::Tape() : outer_(active_tape) {
  active_tape = this;
}

Tape::~Tape() {
  active_tape = outer_;
}

Tape* Tape::recording(std::initializer_list<const Tensor*> inputs) {
  if (active_tape == nullptr) return nullptr;
  const bool any = std::any_of(inputs.begin(), inputs.end(),
                               [](const Tensor* input) { return input->defined() && input->requires_grad(); });
  return any ? active_tape : nullptr;
}

void Tape::record(const Operation& operation, std::initializer_list<const Tensor*> inputs,
                  std::initializer_list<Tensor*> outputs, std::vector<Tensor> saved,
                  BackwardFunction backward) {
  Entry entry{&operation, std::string(active_label), {}, {}, std::move(saved), std::move(backward)};
  for (const Tensor* input : inputs) entry.inputs.push_back(edge_of(*input));
  for (Tensor* output : outputs) entry.outputs.push_back(edge_of(output->set_requires_grad()));
  entries_.push_back(std::move(entry));
}

void Tape::set_gradient_buffer(const Tensor& tensor, const Tensor& gradient, bool accumulate) {
  check_shape(gradient, tensor.shape(), "a gradient buffer");
  buffers_[tensor.id()] = {gradient, accumulate};
}

// `replaces` means that the new gradient already includes the one so far.
void Tape::add_gradient(const Edge& edge, const Tensor& gradient, bool replaces) {
  if (const auto buffer = buffers_.find(edge.id); buffer != buffers_.end()) {
    GradientBuffer& slot = buffer->second;
    if (gradient.raw() != slot.tensor.raw()) {
      if (slot.holds_gradient && !replaces)
        accumulate(Output(slot.tensor), gradient);
      else
        slot.tensor.copy_from(gradient);
    }
    slot.holds_gradient = true;
    return;
  }
  check(!edge.needs_buffer, ExitCode::internal,
        "backward(): the gradient of a parameter of shape {} would be lost, because its store is not attached "
        "to this "
        "tape; call ParameterStore::attach(tape) before backward()",
        edge.shape);
  Tensor& so_far = gradients_[edge.id];
  if (!so_far.defined() || replaces) {
    so_far = gradient;
  } else {
    // A new tensor, because the gradient so far may have been passed on to another input and must not change
    // there.
    Tensor sum = Tensor::empty_like(so_far);
    add(so_far, gradient, Output(sum));
    so_far = sum;
  }
}

void Tape::backward(const Tensor& output, const Tensor& cotangent) {
  check(output.defined(), ExitCode::internal, "backward() from an undefined tensor");
  check(output.requires_grad(), ExitCode::internal,
        "backward() from a tensor that depends on nothing recorded: no input of it requires a gradient, it was "
        "computed "
        "under NoGrad or before the tape was made, or it is a view (reshape, rows), through which no gradient "
        "flows");
  const auto makes_output = [&](const Entry& entry) {
    return std::any_of(entry.outputs.begin(), entry.outputs.end(),
                       [&](const Edge& edge) { return edge.id == output.id(); });
  };
  check(std::any_of(entries_.rbegin(), entries_.rend(), makes_output), ExitCode::internal,
        "backward() from a tensor that this tape has not recorded: another tape was active when it was "
        "computed, or "
        "backward() has walked this tape back already");
  Tensor seed = cotangent;
  if (!seed.defined()) {
    check(output.numel() == 1, ExitCode::internal, "backward() from a tensor of shape {} needs a cotangent",
          output.shape());
    seed = Tensor::full(output.shape(), 1.0, output.gradient_dtype(), output.device());
  }
  check_shape(seed, output.shape(), "the cotangent");
  gradients_[output.id()] = seed;

  const NoGrad no_grad;
  const WalkBack walk;
  LastEntries last = last_entries();
  for (auto& [id, buffer] : buffers_) buffer.is_final = false;
  while (!entries_.empty()) {
    const Entry entry = std::move(entries_.back());
    entries_.pop_back();
    differentiate(entry);
    if (!last.empty())
      for (const Edge& edge : entry.inputs)
        if (const auto found = last.find(edge.id); found != last.end() && found->second == entries_.size()) {
          last.erase(found);
          finish_buffer(edge.id, buffers_.at(edge.id));
        }
    if (after_entry_) after_entry_();
  }
  for (auto& [id, buffer] : buffers_)
    if (!buffer.is_final) finish_buffer(id, buffer);
}

// Calls the backward function of an entry, unless no gradient reaches the entry.
void Tape::differentiate(const Entry& entry) {
  BackwardStep step(*this, entry);
  bool reached = false;
  for (const Edge& edge : entry.outputs) {
    const auto found = gradients_.find(edge.id);
    step.output_gradients_.push_back(found == gradients_.end() ? Tensor() : found->second);
    reached |= found != gradients_.end();
    if (found != gradients_.end())
      gradients_.erase(found);  // consumed: after use its block returns to the pool
  }
  if (!reached) return;
  const TapeLabel label(entry.label.empty() ? std::string_view(entry.operation->name()) : entry.label);
  entry.backward(step);
  step.output_gradients_.clear();
  for (BackwardStep::Written& written : step.written_)
    add_gradient(step.edge(written.input), written.gradient, written.includes_addend);
}

// Empty if nobody wants to know.
Tape::LastEntries Tape::last_entries() const {
  LastEntries last;
  if (!tell_final_) return last;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    for (const Edge& edge : entries_[i].inputs)
      if (edge.requires_grad && buffers_.contains(edge.id)) last.try_emplace(edge.id, i);
  return last;
}

void Tape::finish_buffer(std::uint64_t id, GradientBuffer& buffer) {
  buffer.is_final = true;
  // A parameter that took no part must not be updated with the gradient of an earlier pass.
  if (!buffer.holds_gradient) buffer.tensor.fill(0);
  if (tell_final_) tell_final_(id);
}

bool Tape::is_walking_back() {
  return walks_back > 0;
}

Tensor Tape::gradient(const Tensor& tensor) const {
  if (const auto buffer = buffers_.find(tensor.id()); buffer != buffers_.end())
    return buffer->second.holds_gradient ? buffer->second.tensor : Tensor();
  const auto found = gradients_.find(tensor.id());
  return found == gradients_.end() ? Tensor() : found->second;
}

Output BackwardStep::input_gradient(int input) {
  const Tape::Edge& target = edge(input);
  check(target.requires_grad, ExitCode::internal, "{}: the gradient of input {} is not wanted",
        entry_.operation->name(), input);
  const bool took_addend =
      std::find(addends_taken_.begin(), addends_taken_.end(), input) != addends_taken_.end();
  Output place;
  // The first gradient of a parameter is written directly into its buffer.
  const auto buffer = tape_.buffers_.find(target.id);
  const bool written_before = std::any_of(written_.begin(), written_.end(), [&](const Written& other) {
    return edge(other.input).id == target.id;
  });
  if (buffer != tape_.buffers_.end() && !buffer->second.holds_gradient && !written_before)
    place = Output(buffer->second.tensor);
  else
    place = Output(Tensor::empty(target.shape, target.gradient_dtype, target.device));
  written_.push_back({input, place, took_addend});
  return place;
}

Tensor BackwardStep::take_addend(int input) {
  const auto found = tape_.gradients_.find(edge(input).id);
  if (found == tape_.gradients_.end()) return {};
  addends_taken_.push_back(input);
  return found->second;
}

void BackwardStep::pass_gradient(int input, const Tensor& gradient) {
  if (wants(input)) written_.push_back({input, gradient, false});
}

NoGrad::NoGrad() : outer_(active_tape) {
  active_tape = nullptr;
}
NoGrad::~NoGrad() {
  active_tape = outer_;
}

TapeLabel::TapeLabel(std::string_view label) : outer_(active_label) {
  active_label = label;
}
TapeLabel::~TapeLabel() {
  active_label = outer_;
}
std::string_view TapeLabel::current() {
  return active_label;
}

}  // namespace kindred
