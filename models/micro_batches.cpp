#include <kindred/engine/tape.h>
#include <kindred/models/micro_batches.h>

namespace kindred {
namespace {

Tensor joined(const std::vector<Tensor>& micro_batches) {
  const Tensor& first = micro_batches.front();
  const std::int64_t rows = first.dim(0), count = static_cast<std::int64_t>(micro_batches.size());
  Tensor all = Tensor::empty({rows * count, first.dim(1)}, first.dtype(), first.device());
  for (std::int64_t k = 0; k < count; ++k)
    all.rows(k * rows, (k + 1) * rows).copy_from(micro_batches[static_cast<std::size_t>(k)]);
  return all;
}

std::vector<Tensor> cut_into(const Tensor& all, int count) {
  check(all.dim(0) % count == 0, ExitCode::internal, "{} rows cannot be cut into {} micro-batches", all.dim(0),
        count);
  const std::int64_t rows = all.dim(0) / count;
  std::vector<Tensor> cut;
  for (std::int64_t k = 0; k < count; ++k) cut.push_back(all.rows(k * rows, (k + 1) * rows));
  return cut;
}

// While one of these exists, nothing computes the parameters' gradients.
struct Untrainable {
  ParameterStore& store;
  explicit Untrainable(ParameterStore& s) : store(s) { store.set_trainable(false); }
  ~Untrainable() { store.set_trainable(true); }
};

// Calls run() for each micro-batch until none has to wait for statistics of another one.
template <typename Run>
void until_none_waits(WholeBatchNorms& norms, const Run& run) {
  for (bool waits = true; waits;) {
    waits = false;
    for (int k = 0; k < norms.micro_batches(); ++k) {
      const WholeBatchNorms::MicroBatch micro_batch(norms, k);
      try {
        run(static_cast<std::size_t>(k));
      } catch (const WholeBatchNorms::Waiting&) {
        waits = true;
      }
    }
  }
}

}  // namespace

MicroBatches::MicroBatches(ContrastiveModel& model, BatchNormScope scope, int count)
    : model_(model), scope_(scope), count_(count) {
  check(count >= 1, ExitCode::internal, "a batch of {} micro-batches", count);
}

std::vector<Tensor> MicroBatches::cut(const Tensor& images) const {
  return cut_into(images, count_);
}

// The last segment is the part of the model after the encoder.
Tensor MicroBatches::run(std::size_t segment, const Tensor& x, Mode mode) const {
  return segment < model_.encoder.segments() ? model_.encoder.segment(segment, x, mode) : model_.project(x);
}

std::size_t MicroBatches::first_trained() const {
  return model_.encoder.frozen_segments();
}

void MicroBatches::forward_segment(std::size_t segment, const std::vector<Tensor>& x, Mode mode,
                                   std::vector<Tensor>& y) {
  y.assign(x.size(), {});
  until_none_waits(norms_[segment], [&](std::size_t k) {
    if (!y[k].defined()) y[k] = run(segment, x[k], mode);
  });
}

Embedding MicroBatches::forward(const Tensor& images, double momentum, bool keep) {
  const NoGrad no_grad;
  inputs_.assign(1, cut(images));
  if (scope_ == BatchNormScope::micro) {  // running statistics move in backward(), which runs all of this again
    std::vector<Tensor> features, outputs;
    for (const Tensor& micro_batch : inputs_[0]) {
      features.push_back(model_.encoder(micro_batch, Mode::train_with(0)));
      outputs.push_back(model_.project(features.back()));
    }
    if (!keep) inputs_.clear();
    return {joined(features), joined(outputs)};
  }
  norms_.clear();
  const std::size_t last = model_.encoder.segments();
  std::vector<Tensor> x = inputs_[0], y;
  Tensor features;
  for (std::size_t segment = 0; segment <= last; ++segment) {
    norms_.emplace_back(count_);
    if (segment == last) features = joined(x);
    forward_segment(segment, x, Mode::train_with(momentum), y);
    x = std::move(y);
    if (keep && segment < last) inputs_.push_back(segment + 1 < first_trained() ? std::vector<Tensor>() : x);
  }
  if (!keep) {
    inputs_.clear();
    norms_.clear();
  }
  return {features, joined(x)};
}

// Computes what every norm of a segment needs to know about the whole batch for its backward pass. These runs
// have no other result.
void MicroBatches::learn_gradients_of_norms(std::size_t segment, const std::vector<Tensor>& d_y) {
  const Untrainable untrainable(model_.store);
  WholeBatchNorms& norms = norms_[segment];
  until_none_waits(norms, [&](std::size_t k) {
    if (norms.gradients_known()) return;
    Tape tape;
    Tensor x = inputs_[segment][k];
    x = x.reshape(x.shape()).set_requires_grad();
    tape.backward(run(segment, x, Mode::train), d_y[k]);
  });
}

void MicroBatches::backward(const Tensor& d_output) {
  check(!inputs_.empty(), ExitCode::internal, "backward() of a batch that was not kept");
  std::vector<Tensor> d_y = cut_into(d_output, count_);
  if (scope_ == BatchNormScope::micro) {
    for (int k = 0; k < count_; ++k) {
      const Mode mode = Mode::train_with(momentum_of_micro_batch(k, count_));
      Tape tape;
      model_.store.attach(tape, true);
      const auto i = static_cast<std::size_t>(k);
      tape.backward(model_(inputs_[0][i], mode), d_y[i]);
    }
    inputs_.clear();
    return;
  }
  const std::size_t first = first_trained();
  for (std::size_t segment = inputs_.size(); segment-- > first;) {
    WholeBatchNorms& norms = norms_[segment];
    if (count_ > 1) learn_gradients_of_norms(segment, d_y);
    for (int k = 0; k < count_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const WholeBatchNorms::MicroBatch micro_batch(norms, k);
      Tape tape;
      model_.store.attach(tape, true);
      Tensor x = inputs_[segment][i];
      if (segment > first) x = x.reshape(x.shape()).set_requires_grad();
      tape.backward(run(segment, x, Mode::train), d_y[i]);
      d_y[i] = segment > first ? tape.gradient(x) : Tensor();
      inputs_[segment][i] = {};
    }
  }
  inputs_.clear();
  norms_.clear();
}

}  // namespace kindred
