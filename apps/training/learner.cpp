#include <kindred/apps/training/learner.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/batch_norm/shared_statistics.h>
#include <kindred/layers/concatenate/concatenate.h>
#include <kindred/losses/gathered/gathered.h>
#include <kindred/losses/supcon/shared.h>

#include <algorithm>

namespace kindred {
namespace {

// The part of a model's running statistics that training changes. Frozen stages are the first ones.
Tensor moving_statistics(const ContrastiveModel& model) {
  const ParameterStore& store = model.store;
  for (std::size_t i = 0; i < store.buffers().size(); ++i)
    if (const std::int64_t first = store.buffer_offsets()[i]; !model.encoder.is_frozen(store.buffers()[i].name))
      return store.flat_buffers().window(first, {store.flat_buffers().numel() - first});
  return {};
}

}  // namespace

Learner::Learner(const PretrainOptions& o, Device device, int classes, const Communicator& processes)
    : processes_(processes),
      normalized_with_(o.sync_batch_norm ? processes_ : alone_),
      loss_(loss_options(o)),
      views_(o.views),
      peak_rate_(o.lr),
      model_(make_model(o, classes)) {
  const DType master = master_type(o.precision.compute);
  model_.store.allocate(device, o.seed, o.precision.compute, master);
  if (!o.freeze_until.empty()) model_.encoder.freeze_until(o.freeze_until);
  optimizer_ = make_optimizer(o, model_);
  if (o.momentum_encoder > 0) momentum_.emplace(model_, o.head, o.precision.compute, o.momentum_encoder);
  if (o.queue > 0) queue_.emplace(o.queue, model_.head->dim, o.seed, device, master);
  if (o.online_probe)
    probe_.emplace(model_.encoder.feature_dim, classes, o.seed, device, o.precision.compute, processes_);
  const bool sends = !processes_.description().empty();  // also one process on which NCCL is forced
  if (sends)
    sums_.emplace(processes_, model_.store, o.gradient_wire, GradientSums::usual_bucket_bytes,
                  [this](const Parameter& parameter) { return model_.encoder.is_frozen(parameter.name); });
  if (sends && !o.sync_batch_norm) moving_ = moving_statistics(model_);
  const std::int64_t batch = local_batch(o, processes_);
  if (o.micro_batch > 0) {
    check(processes_.is_alone() || batch % o.micro_batch == 0, ExitCode::usage,
          "--micro-batch {}: each of {} processes has {} of the {} images of a batch; use a divisor of {}",
          o.micro_batch, processes_.size(), batch, o.batch_size, batch);
    const int count = static_cast<int>(batch / o.micro_batch);
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

// The keys of images, from the momentum encoder.
Tensor Learner::keys_of(const Tensor& images) {
  const NoGrad no_grad;
  constexpr double momentum = 0;  // its running statistics are never used for evaluation
  if (key_micro_batches_) return key_micro_batches_->forward(images, momentum, false).output;
  return momentum_->copy()(images, Mode::train_with(momentum));
}

// The rows of all processes, view-major, from this process's rows of `views` views.
Tensor Learner::of_all(const Tensor& own, std::int64_t views) const {
  return processes_.is_alone() ? own : gathered_views(processes_, own, static_cast<int>(views));
}

// The loss of the features of all processes. With a queue, anchors are also compared with the queued features.
Tensor Learner::loss_of_step(const Tensor& output, const Keys& keys, const Tensor& labels,
                             SupConStatistics* statistics) const {
  if (!momentum_ && !queue_) return loss_of(processes_, output, labels, loss_, statistics);
  if (!momentum_)
    return supcon_with_queue_shared(processes_, output, labels, queue_->features(), queue_->labels(),
                                    loss_.supcon, statistics);
  Tensor contrasts = keys.features, contrast_labels = keys.labels;
  if (queue_) {
    contrasts = concatenate(contrasts, queue_->features());
    contrast_labels = concatenate(contrast_labels, queue_->labels());
  }
  SupConOptions options = loss_.supcon;
  options.views = 1;  // only first views are anchors
  return supcon_against_shared(processes_, output, labels.rows(0, output.dim(0)), contrasts, contrast_labels,
                               options, statistics);
}

StepOutputs Learner::step(const StepInputs& inputs) {
  const std::int64_t rows = inputs.labels.dim(1);
  const Tensor labels = inputs.labels.window(0, {rows}), classes = inputs.labels.window(rows, {rows});
  const SharedStatistics shared(normalized_with_);
  const auto [queries, keys] = keys_apart(inputs.images, labels);

  Tape tape;
  model_.store.attach(tape);
  if (sums_ && micro_batches_.empty()) sums_->follow(tape);
  const BatchEmbedding batch = embed(queries);
  const StepOutputs outputs = contrast(batch.whole, keys, labels);
  tape.backward(outputs.loss, optimizer_->loss_scale());  // starts with the loss scale if the loss is scaled
  for (std::size_t group = 0; group < micro_batches_.size(); ++group)
    micro_batches_[group].backward(tape.gradient(batch.groups[group].output));
  if (sums_) sum_over_processes();
  optimizer_->watch_loss(outputs.loss);
  optimizer_->step();

  return teach_the_rest(outputs, batch.whole, keys, labels, classes);
}

// With a momentum encoder the first view of each image is a query, and that encoder turns the others into keys.
std::pair<std::vector<Tensor>, Learner::Keys> Learner::keys_apart(const std::vector<Tensor>& images,
                                                                  const Tensor& labels) {
  if (!momentum_) return {images, {}};
  const Tensor& all = images.front();
  const std::int64_t rows = labels.numel(), batch = rows / views_;
  const Keys keys{.features = of_all(keys_of(all.rows(batch, rows)), views_ - 1),
                  .labels = of_all(labels.rows(batch, rows), views_ - 1)};
  return {{all.rows(0, batch)}, keys};
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

StepOutputs Learner::contrast(const Embedding& batch, const Keys& keys, const Tensor& labels) const {
  StepOutputs outputs;
  SupConStatistics statistics;
  outputs.loss = loss_of_step(batch.output, keys, labels, &statistics);  // []
  outputs.positives = statistics.positives;
  const Tensor all = of_all(batch.output, momentum_ ? 1 : views_);
  outputs.features = momentum_ ? concatenate(all, keys.features) : all;
  return outputs;
}

// Nothing but the gradients is summed. The loss is already the mean over the rows of all processes, and so the sum of
// the gradients needs no factor.
void Learner::sum_over_processes() {
  sums_->finish();
  if (!moving_.defined()) return;
  // If batch norms compute their own statistics, every process keeps the mean of the running statistics: a checkpoint,
  // and accuracies that the processes measure together, are those of one encoder.
  const TapeLabel label("running statistics");
  processes_.all_reduce(Output(moving_));
  const Tensor mean = Tensor::zeros(moving_.shape(), moving_.dtype(), moving_.device());
  move_average(Output(mean), moving_, 1.0 / processes_.size());
  moving_.copy_from(mean);
}

// After the update: trains what learns from the batch without influence on the encoder.
StepOutputs Learner::teach_the_rest(StepOutputs outputs, const Embedding& batch, const Keys& keys,
                                    const Tensor& labels, const Tensor& classes) {
  const NoGrad no_grad;
  if (probe_) outputs.probe_loss = probe_->step(batch.features, classes.rows(0, batch.features.dim(0)));
  if (momentum_) {
    const TapeLabel label("momentum encoder");
    momentum_->follow(model_);
  }
  if (queue_) {  // all processes push the same rows
    const TapeLabel label("queue");
    if (momentum_)
      queue_->push(keys.features, keys.labels);
    else
      queue_->push(outputs.features, of_all(labels, views_));
  }
  return outputs;
}

void Learner::trace(const StepInputs& inputs, const Visit& visit) {
  const std::int64_t rows = inputs.labels.dim(1), anchors = momentum_ ? rows / views_ : rows;
  const Tensor labels = inputs.labels.window(0, {rows});
  const SharedStatistics shared(normalized_with_);
  const auto [queries, keys] = keys_apart(inputs.images, labels);
  std::vector<Tensor> outputs;
  std::int64_t first = 0;
  for (std::size_t group = 0; group < queries.size(); ++group) {
    const std::vector<Tensor> cut = micro_batches_.empty() ? std::vector<Tensor>{queries[group]}
                                                           : micro_batches_[group].cut(queries[group]);
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
  loss_of_step(output.set_requires_grad(), keys, labels);
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
