#include <kindred/apps/training/learner.h>
#include <kindred/layers/concatenate/concatenate.h>

#include <algorithm>

namespace kindred {

Learner::Learner(const PretrainOptions& o, Device device, int classes)
    : loss_(loss_options(o)), views_(o.views), peak_rate_(o.lr), model_(make_model(o, classes)) {
  model_.store.allocate(device, o.seed, o.precision.compute);
  if (!o.freeze_until.empty()) model_.encoder.freeze_until(o.freeze_until);
  optimizer_ = make_optimizer(o, model_);
  if (o.momentum_encoder > 0) momentum_.emplace(model_, o.head, o.precision.compute, o.momentum_encoder);
  if (o.queue > 0) queue_.emplace(o.queue, model_.head->dim, o.seed, device);
  if (o.online_probe) probe_.emplace(model_.encoder.feature_dim, classes, o.seed, device, o.precision.compute);
  if (o.micro_batch > 0) {
    const int count = static_cast<int>(o.batch_size / o.micro_batch);
    for (std::size_t group = 0; group < view_sizes(o.view_groups).size(); ++group)
      micro_batches_.emplace_back(model_, o.batch_norm_scope, count);
    if (momentum_) key_micro_batches_.emplace(momentum_->copy(), o.batch_norm_scope, count);
  }
}

std::int64_t Learner::learning_parameters() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : model_.store.parameters())
    if (!model_.encoder.is_frozen(parameter.name)) count += parameter.shape.numel();
  return count;
}

void Learner::weights_changed() {
  if (momentum_) momentum_->copy_from(model_);
}

void Learner::set_learning_rate(double learning_rate) {
  optimizer_->set_learning_rate(learning_rate);
  if (probe_) probe_->optimizer().set_learning_rate(probe_rate(learning_rate));
}

double Learner::probe_rate(double learning_rate) const {
  return OnlineProbe::rate(peak_rate_ > 0 ? learning_rate / peak_rate_ : 1);
}

std::array<float, Learner::rate_count> Learner::rates(double learning_rate) const {
  return {static_cast<float>(learning_rate), static_cast<float>(probe_rate(learning_rate))};
}

void Learner::set_rates(const Tensor& rates) {
  optimizer_->set_learning_rate(rates.window(0, {1}));
  if (probe_) probe_->optimizer().set_learning_rate(rates.window(1, {1}));
}

Embedding Learner::embed(const Tensor& images, MicroBatches* micro_batches) {
  if (micro_batches != nullptr) return micro_batches->forward(images);
  const Tensor features = model_.encoder(images, Mode::train);
  return {.features = features, .output = model_.project(features)};
}

// The keys of all views except the first; the momentum encoder computes them.
Tensor Learner::keys_of(const Tensor& images) {
  const NoGrad no_grad;
  constexpr double momentum = 0;  // its running statistics are never used for evaluation
  if (key_micro_batches_) return key_micro_batches_->forward(images, momentum, false).output;
  return momentum_->copy()(images, Mode::train_with(momentum));
}

// The loss of a batch's features. With a queue, anchors are also compared with the queued features.
Tensor Learner::loss_of_step(const Tensor& output, const Tensor& keys, const Tensor& labels,
                             SupConStatistics* statistics) const {
  if (!momentum_ && !queue_) return loss_of(output, labels, loss_, statistics);
  const std::int64_t anchors = output.dim(0), rows = labels.numel();
  Tensor contrasts = momentum_ ? keys : output;
  Tensor contrast_labels = momentum_ ? labels.rows(anchors, rows) : labels;
  if (queue_) {
    contrasts = concatenate(contrasts, queue_->features());
    contrast_labels = concatenate(contrast_labels, queue_->labels());
  }
  SupConOptions options = loss_.supcon;
  if (momentum_) options.views = 1;  // only first views are anchors
  const std::int64_t self = momentum_ ? contrasts.dim(0) : 0;
  return supcon_against(output, labels.rows(0, anchors), contrasts, contrast_labels, self, options, statistics);
}

StepOutputs Learner::step(const StepInputs& inputs) {
  const std::int64_t rows = inputs.labels.dim(1);
  const Tensor labels = inputs.labels.window(0, {rows}), classes = inputs.labels.window(rows, {rows});
  const auto [queries, keys] = keys_apart(inputs.images, rows / views_);

  Tape tape;
  model_.store.attach(tape);
  const BatchEmbedding batch = embed(queries);
  const StepOutputs outputs = contrast(batch.whole, keys, labels);
  tape.backward(outputs.loss, optimizer_->loss_scale());  // starts with the loss scale if the loss is scaled
  for (std::size_t group = 0; group < micro_batches_.size(); ++group)
    micro_batches_[group].backward(tape.gradient(batch.groups[group].output));
  optimizer_->watch_loss(outputs.loss);
  optimizer_->step();

  return teach_the_rest(outputs, batch.whole, keys, labels, classes);
}

// With a momentum encoder the first view of each image is a query, and that encoder turns the others into keys.
std::pair<std::vector<Tensor>, Tensor> Learner::keys_apart(const std::vector<Tensor>& images,
                                                           std::int64_t batch) {
  if (!momentum_) return {images, {}};
  const Tensor& all = images.front();
  return {{all.rows(0, batch)}, keys_of(all.rows(batch, all.dim(0)))};
}

// Features and projections of all views, with one forward pass for each size of views.
Learner::BatchEmbedding Learner::embed(const std::vector<Tensor>& images) {
  BatchEmbedding batch;
  for (std::size_t group = 0; group < images.size(); ++group) {
    batch.groups.push_back(embed(images[group], micro_batches_.empty() ? nullptr : &micro_batches_[group]));
    if (!micro_batches_.empty())
      batch.groups.back().output.set_requires_grad();  // backward enters the micro-batches here
  }
  batch.whole = batch.groups.front();
  for (std::size_t group = 1; group < batch.groups.size(); ++group) {
    batch.whole.output = concatenate(batch.whole.output, batch.groups[group].output);
    batch.whole.features = concatenate(batch.whole.features, batch.groups[group].features);
  }
  return batch;
}

StepOutputs Learner::contrast(const Embedding& batch, const Tensor& keys, const Tensor& labels) const {
  StepOutputs outputs;
  SupConStatistics statistics;
  outputs.loss = loss_of_step(batch.output, keys, labels, &statistics);  // []
  outputs.positives = statistics.positives;
  outputs.features = keys.defined() ? concatenate(batch.output, keys) : batch.output;
  return outputs;
}

// After the update: trains what learns from the batch without influence on the encoder.
StepOutputs Learner::teach_the_rest(StepOutputs outputs, const Embedding& batch, const Tensor& keys,
                                    const Tensor& labels, const Tensor& classes) {
  const NoGrad no_grad;
  if (probe_) outputs.probe_loss = probe_->step(batch.features, classes.rows(0, batch.features.dim(0)));
  if (momentum_) {
    const TapeLabel label("momentum encoder");
    momentum_->follow(model_);
  }
  if (queue_) {
    const TapeLabel label("queue");
    const Tensor& newest = momentum_ ? keys : batch.output;
    const std::int64_t rows = labels.numel();
    queue_->push(newest, labels.rows(rows - newest.dim(0), rows));
  }
  return outputs;
}

void Learner::trace(const StepInputs& inputs, const Visit& visit) {
  const std::int64_t rows = inputs.labels.dim(1), anchors = momentum_ ? rows / views_ : rows;
  Tensor keys;
  if (momentum_) keys = keys_of(inputs.images.front().rows(anchors, rows));
  std::vector<Tensor> outputs;
  std::int64_t first = 0;
  for (std::size_t group = 0; group < inputs.images.size(); ++group) {
    Tensor images = inputs.images[group];
    if (momentum_) images = images.rows(0, anchors);
    const std::vector<Tensor> cut =
        micro_batches_.empty() ? std::vector<Tensor>{images} : micro_batches_[group].cut(images);
    for (const Tensor& micro_batch : cut) {
      Tape tape;
      outputs.push_back(model_(micro_batch, Mode::train_with(0)));
      visit(tape, first, micro_batch.dim(0));
      first += micro_batch.dim(0);
    }
  }
  Tape tape;
  Tensor output = outputs.front().reshape(outputs.front().shape());
  for (std::size_t i = 1; i < outputs.size(); ++i) output = concatenate(output, outputs[i]);
  loss_of_step(output.set_requires_grad(), keys, inputs.labels.window(0, {rows}));
  visit(tape, 0, anchors);
}

std::vector<std::pair<std::string, Tensor>> Learner::beside_the_model() const {
  std::vector<std::pair<std::string, Tensor>> all;
  const auto add = [&](const std::vector<std::pair<std::string, Tensor>>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  if (momentum_) add(momentum_->state());
  if (queue_) add(queue_->state());
  if (probe_) add(probe_->state());
  return all;
}

std::vector<std::pair<std::string, Tensor>> Learner::state() const {
  std::vector<std::pair<std::string, Tensor>> all = beside_the_model();
  for (const auto& entry : optimizer_->state()) all.push_back(entry);
  return all;
}

void Learner::restored() {
  if (momentum_) momentum_->copy().store.refresh_low_precision();
  if (probe_) probe_->refresh();
}

std::vector<Tensor> Learner::changing() const {
  std::vector<Tensor> tensors;
  for (const Buffer& buffer : model_.store.buffers()) tensors.push_back(buffer.value);
  for (const auto& [name, tensor] : beside_the_model()) tensors.push_back(tensor);
  return tensors;
}

void Learner::remember() {
  remembered_.clear();
  for (const Tensor& tensor : changing()) remembered_.push_back(tensor.to(tensor.device(), tensor.dtype()));
}

void Learner::take_back() {
  std::vector<Tensor> tensors = changing();
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].copy_from(remembered_[i]);
  if (probe_) probe_->optimizer().clear_non_finite();  // it would not learn again
  restored();
}

}  // namespace kindred
