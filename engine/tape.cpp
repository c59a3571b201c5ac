#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/tape.h>

#include <algorithm>

namespace kindred {
namespace {

// So much memory may wait for its conversion. All of ResNet-50's filters are 47 MB in 16 bits.
constexpr std::size_t most_waiting_bytes = std::size_t{64} << 20;
// Where sums over processes wait for gradients that are final: less than a bucket of theirs.
constexpr std::size_t most_waiting_bytes_for_sums = std::size_t{8} << 20;

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
                  std::initializer_list<Tensor*> outputs, std::vector<Tensor> saved, BackwardFunction backward,
                  Addition addition) {
  Entry entry{&operation, std::string(active_label), {}, {}, std::move(saved), std::move(backward)};
  for (const Tensor* input : inputs) entry.inputs.push_back(edge_of(*input));
  for (Tensor* output : outputs) {
    entry.outputs.push_back(edge_of(output->set_requires_grad()));
    if (addition == Addition::by_operation) added_by_maker_.insert(output->id());
  }
  entries_.push_back(std::move(entry));
}

void Tape::set_gradient_buffer(const Tensor& tensor, const Tensor& gradient, bool accumulate) {
  check_shape(gradient, tensor.shape(), "a gradient buffer");
  buffers_[tensor.id()] = {gradient, accumulate};
}

// A new tensor, because each of the two may have been passed on to another input and must not change there.
Tensor Tape::Gradients::sum() const {
  if (!second.defined()) return first;
  Tensor both = Tensor::empty_like(first);
  add(first, second, Output(both));
  return both;
}

// `replaces` means that the new gradient already includes the one so far.
void Tape::add_gradient(const Edge& edge, const Tensor& gradient, bool replaces) {
  if (const auto buffer = buffers_.find(edge.id); buffer != buffers_.end()) {
    GradientBuffer& slot = buffer->second;
    if (gradient.raw() != slot.tensor.raw()) {
      if (slot.is_waited_for) convert_waiting();
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
  Gradients& so_far = gradients_[edge.id];
  if (!so_far.first.defined() || replaces) {
    so_far = {gradient, {}};
    return;
  }
  so_far.first = so_far.sum();  // room for one more
  so_far.second = gradient;
  if (!added_by_maker_.contains(edge.id)) so_far = {so_far.sum(), {}};
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
  gradients_[output.id()] = {seed, {}};

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
    if (waiting_bytes_ >= (tell_final_ ? most_waiting_bytes_for_sums : most_waiting_bytes)) convert_waiting();
    if (after_entry_) after_entry_();
  }
  for (auto& [id, buffer] : buffers_)
    if (!buffer.is_final) finish_buffer(id, buffer);
  convert_waiting();
}

// Turns the narrow gradients that wait into those of their buffers, and tells of those that are final now.
void Tape::convert_waiting() {
  if (waiting_.empty()) return;
  const TapeLabel label("gradients");
  widen_(waiting_);
  waiting_.clear();
  waiting_bytes_ = 0;
  for (auto& [id, buffer] : buffers_) buffer.is_waited_for = false;
  for (const std::uint64_t id : std::exchange(tell_later_, {})) tell_final_(id);
}

// Calls the backward function of an entry, unless no gradient reaches the entry.
void Tape::differentiate(const Entry& entry) {
  BackwardStep step(*this, entry);
  bool reached = false;
  for (const Edge& edge : entry.outputs) {
    added_by_maker_.erase(edge.id);
    // Consumed: after use its block returns to the pool.
    const auto gradients = gradients_.extract(edge.id);
    step.output_gradients_.push_back(gradients ? std::move(gradients.mapped()) : Gradients());
    reached |= !gradients.empty();
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
  if (!tell_final_) return;
  if (buffer.is_waited_for)
    tell_later_.push_back(id);
  else
    tell_final_(id);
}

bool Tape::is_walking_back() {
  return walks_back > 0;
}

Tensor Tape::gradient(const Tensor& tensor) const {
  if (const auto buffer = buffers_.find(tensor.id()); buffer != buffers_.end()) {
    check(!buffer->second.is_waited_for, ExitCode::internal,
          "gradient(): backward() ended with an error before it had converted this gradient");
    return buffer->second.holds_gradient ? buffer->second.tensor : Tensor();
  }
  const auto found = gradients_.find(tensor.id());
  return found == gradients_.end() ? Tensor() : found->second.sum();
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
  Tape::Gradients& so_far = found->second;
  so_far = {so_far.sum(), {}};
  return so_far.first;
}

BackwardStep::OutputGradients BackwardStep::take_output_gradients(int index) {
  auto& [first, second] = output_gradients_[static_cast<std::size_t>(index)];
  return {std::exchange(first, {}), std::exchange(second, {})};
}

void BackwardStep::pass_gradient(int input, const Tensor& gradient) {
  if (wants(input)) written_.push_back({input, gradient, false});
}

void BackwardStep::pass_narrow_gradient(int input, const Tensor& gradient, Widen widen) {
  check(edge(input).gradient_dtype == DType::f32, ExitCode::internal,
        "{}: a narrow gradient of an input whose gradient is {}", entry_.operation->name(),
        name(edge(input).gradient_dtype));
  const auto buffer = tape_.buffers_.find(edge(input).id);
  if (buffer == tape_.buffers_.end()) {
    const Output place = input_gradient(input);
    const std::vector<Widening> alone = {{gradient, place}};
    return widen(alone);
  }
  Tape::GradientBuffer& slot = buffer->second;
  // One conversion at a time adds to a buffer. Others, of the same launch, would read what it has not written yet.
  if (slot.is_waited_for || tape_.widen_ != widen) tape_.convert_waiting();
  tape_.widen_ = widen;
  tape_.waiting_.push_back({gradient, Output(slot.tensor), slot.holds_gradient});
  tape_.waiting_bytes_ += gradient.bytes();
  slot.is_waited_for = slot.holds_gradient = true;
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
