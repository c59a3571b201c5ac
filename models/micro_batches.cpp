#include <kindred/engine/tape.h>
#include <kindred/models/micro_batches.h>

namespace kindred {
namespace {

Tensor joined(const std::vector<Tensor>& pieces) {
  const Tensor& first = pieces.front();
  const std::int64_t rows = first.dim(0), count = static_cast<std::int64_t>(pieces.size());
  Tensor all = Tensor::empty({rows * count, first.dim(1)}, first.dtype(), first.device());
  for (std::int64_t k = 0; k < count; ++k)
    all.rows(k * rows, (k + 1) * rows).copy_from(pieces[static_cast<std::size_t>(k)]);
  return all;
}

std::vector<Tensor> pieces_of(const Tensor& all, int pieces) {
  check(all.dim(0) % pieces == 0, ExitCode::internal, "{} rows cannot be cut into {} pieces", all.dim(0),
        pieces);
  const std::int64_t rows = all.dim(0) / pieces;
  std::vector<Tensor> cut;
  for (std::int64_t k = 0; k < pieces; ++k) cut.push_back(all.rows(k * rows, (k + 1) * rows));
  return cut;
}

// While one of these exists, nothing computes the parameters' gradients.
struct Untrainable {
  ParameterStore& store;
  explicit Untrainable(ParameterStore& s) : store(s) { store.set_trainable(false); }
  ~Untrainable() { store.set_trainable(true); }
};

// Calls run() for each piece until no piece has to wait for statistics of another one.
template <typename Run>
void until_none_waits(WholeBatchNorms& norms, const Run& run) {
  for (bool waits = true; waits;) {
    waits = false;
    for (int k = 0; k < norms.pieces(); ++k) {
      const WholeBatchNorms::Piece piece(norms, k);
      try {
        run(static_cast<std::size_t>(k));
      } catch (const WholeBatchNorms::Waiting&) {
        waits = true;
      }
    }
  }
}

}  // namespace

const char* name(BatchNormScope scope) {
  return scope == BatchNormScope::full ? "full" : "micro";
}

BatchNormScope parse_batch_norm_scope(const std::string& text) {
  if (text == "micro") return BatchNormScope::micro;
  if (text == "full") return BatchNormScope::full;
  fail(ExitCode::usage, "unknown batch norm scope {}: expected micro or full", text);
}

MicroBatches::MicroBatches(ContrastiveModel& model, BatchNormScope scope, int pieces)
    : model_(model), scope_(scope), pieces_(pieces) {
  check(pieces >= 1, ExitCode::internal, "a batch of {} pieces", pieces);
}

std::vector<Tensor> MicroBatches::cut(const Tensor& images) const {
  return pieces_of(images, pieces_);
}

// The last segment is the part of the model after the encoder.
Tensor MicroBatches::run(std::size_t segment, const Tensor& x) const {
  return segment < model_.encoder.segments() ? model_.encoder.segment(segment, x, Mode::train)
                                             : model_.project(x);
}

void MicroBatches::forward_segment(std::size_t segment, const std::vector<Tensor>& x, std::vector<Tensor>& y) {
  y.assign(x.size(), {});
  until_none_waits(norms_[segment], [&](std::size_t k) {
    if (!y[k].defined()) y[k] = run(segment, x[k]);
  });
}

Embedding MicroBatches::forward(const Tensor& images, bool keep) {
  const NoGrad no_grad;
  inputs_.assign(1, cut(images));
  if (scope_ == BatchNormScope::micro) {
    const RunningMomentum stay(0);  // running statistics must not move, because backward() runs the piece again
    std::vector<Tensor> features, outputs;
    for (const Tensor& piece : inputs_[0]) {
      features.push_back(model_.encoder(piece, Mode::train));
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
    norms_.emplace_back(pieces_);
    if (segment == last) features = joined(x);
    forward_segment(segment, x, y);
    x = std::move(y);
    if (keep && segment < last) inputs_.push_back(x);
  }
  if (!keep) inputs_.clear(), norms_.clear();
  return {features, joined(x)};
}

// Computes what every norm of a segment needs of the whole batch for its backward pass. These runs have no
// other result.
void MicroBatches::learn_gradients_of_norms(std::size_t segment, const std::vector<Tensor>& d_y) {
  const Untrainable untrainable(model_.store);
  WholeBatchNorms& norms = norms_[segment];
  until_none_waits(norms, [&](std::size_t k) {
    if (norms.gradients_known()) return;
    Tape tape;
    Tensor x = inputs_[segment][k];
    x = x.reshape(x.shape()).set_requires_grad();
    tape.backward(run(segment, x), d_y[k]);
  });
}

void MicroBatches::backward(const Tensor& d_output) {
  check(!inputs_.empty(), ExitCode::internal, "backward() of a batch that was not kept");
  std::vector<Tensor> d_y = pieces_of(d_output, pieces_);
  if (scope_ == BatchNormScope::micro) {
    for (int k = 0; k < pieces_; ++k) {
      const RunningMomentum momentum(momentum_of_piece(k, pieces_));
      Tape tape;
      model_.store.attach(tape, true);
      const auto i = static_cast<std::size_t>(k);
      tape.backward(model_(inputs_[0][i], Mode::train), d_y[i]);
    }
    inputs_.clear();
    return;
  }
  for (std::size_t segment = inputs_.size(); segment-- > 0;) {
    WholeBatchNorms& norms = norms_[segment];
    if (pieces_ > 1) learn_gradients_of_norms(segment, d_y);
    for (int k = 0; k < pieces_; ++k) {
      const auto i = static_cast<std::size_t>(k);
      const WholeBatchNorms::Piece piece(norms, k);
      Tape tape;
      model_.store.attach(tape, true);
      Tensor x = inputs_[segment][i];
      if (segment > 0) x = x.reshape(x.shape()).set_requires_grad();
      tape.backward(run(segment, x), d_y[i]);
      d_y[i] = segment > 0 ? tape.gradient(x) : Tensor();
      inputs_[segment][i] = {};
    }
  }
  inputs_.clear();
  norms_.clear();
}

}  // namespace kindred
