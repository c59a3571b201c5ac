#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/engine/device_kernels.h>

#include <algorithm>

namespace kindred {

GradientSums::GradientSums(const Communicator& processes, ParameterStore& store, DType wire,
                           std::int64_t bucket_bytes, const std::function<bool(const Parameter&)>& has_none)
    : processes_(processes), gradients_(store.flat_gradients()) {
  check(gradients_.defined(), ExitCode::internal,
        "the sums of gradients were made before the parameters were allocated");
  check(wire == DType::f32 || wire == DType::bf16, ExitCode::internal,
        "gradients cannot be sent as {}; expected f32 or bf16", name(wire));
  check(bucket_bytes > 0, ExitCode::internal, "a bucket of {} bytes", bucket_bytes);
  // Allocated here, so that its address stays the same in recorded steps.
  if (wire != DType::f32) on_wire_ = Tensor::empty(gradients_.shape(), wire, gradients_.device());

  const auto element = static_cast<std::int64_t>(size_of(on_wire_.defined() ? wire : gradients_.dtype()));
  bool is_open = false;  // the last bucket takes more parameters
  std::int64_t end = gradients_.numel();
  for (std::size_t i = store.parameters().size(); i-- > 0;) {
    const Parameter& parameter = store.parameters()[i];
    const std::int64_t begin = store.offsets()[i];
    if (has_none && has_none(parameter)) {
      is_open = false;
    } else {
      if (!is_open) buckets_.push_back({.begin = begin, .end = end, .parameters = 0, .awaited = 0});
      Bucket& bucket = buckets_.back();
      bucket.begin = begin;
      bucket.awaited = ++bucket.parameters;
      bucket_of_[parameter.value.id()] = buckets_.size() - 1;
      is_open = (bucket.end - bucket.begin) * element < bucket_bytes;
    }
    end = begin;
  }
  tell_used_in_parts(gradients_, store.offsets());
  if (on_wire_.defined()) tell_used_in_parts(on_wire_, store.offsets());
  figures_.buckets = static_cast<std::int64_t>(buckets_.size());
  for (const Bucket& bucket : buckets_)
    figures_.sent.push_back({.bytes = (bucket.end - bucket.begin) * element});
}

void GradientSums::follow(Tape& tape) {
  check(started_ == 0, ExitCode::internal,
        "gradients of an earlier backward pass are still being summed; call finish() after each pass");
  figures_.started_early = 0;
  tape.when_gradient_is_final([this, &tape](std::uint64_t id) {
    const auto found = bucket_of_.find(id);
    if (found == bucket_of_.end()) return;
    --buckets_[found->second].awaited;
    while (started_ < buckets_.size() && buckets_[started_].awaited == 0) {
      start_next();
      if (!tape.entries().empty()) ++figures_.started_early;
    }
  });
  tape.after_each_entry([this] {
    if (started_ > 0) processes_.progress();
  });
}

void GradientSums::start_next() {
  const TapeLabel label("gradient sums");
  Bucket& bucket = buckets_[started_++];
  bucket.started = Clock::now();
  Tensor sent = part(gradients_, bucket);
  if (on_wire_.defined()) {
    const Tensor own = sent;
    sent = part(on_wire_, bucket);
    sent.copy_from(own);
  }
  processes_.start_sum(Output(sent));
}

void GradientSums::finish() {
  const Clock::time_point backward_ended = Clock::now();
  while (started_ < buckets_.size()) start_next();
  const Clock::time_point started_all = Clock::now();
  processes_.finish_sums();
  if (gradients_.device() != Device::cuda) take_times(backward_ended, started_all);
  const TapeLabel label("gradient sums");
  for (Bucket& bucket : buckets_) {
    if (on_wire_.defined()) part(gradients_, bucket).copy_from(part(on_wire_, bucket));
    bucket.awaited = bucket.parameters;
  }
  started_ = 0;
}

void GradientSums::take_times(Clock::time_point backward_ended, Clock::time_point started_all) {
  using Seconds = std::chrono::duration<double>;
  ++figures_.steps;
  figures_.seconds_waited += Seconds(Clock::now() - started_all).count();
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    figures_.sent[i].seconds_ahead = std::max(0.0, Seconds(backward_ended - buckets_[i].started).count());
}

GradientSums::Figures GradientSums::Figures::since(const Figures& earlier) const {
  Figures result = *this;
  result.steps -= earlier.steps;
  result.seconds_waited -= earlier.seconds_waited;
  return result;
}

}  // namespace kindred
