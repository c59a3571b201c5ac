#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/probe.h>
#include <kindred/engine/random/philox.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/models/classifier_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace kindred {
namespace {

// The classifier is small, so it trains on the CPU, whatever device the encoder uses.
constexpr Device probe_device = Device::cpu;

// Each process trains the whole classifier, and some are slower: they wait for each other now and then, so that none is
// taken for lost at the end.
constexpr std::int64_t steps_between_meetings = 20;

// Ends the training in all processes after a signal to one of them.
void meet(const Communicator& processes) {
  if (agreed_interrupt_signal(processes) != 0) end_if_interrupted(probe_stopped);
}

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, Purpose::shuffle, static_cast<std::uint32_t>(epoch));
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  return order;
}

// Replaces this process's rows of a batch by those of all processes, in the order of their ranks. Each has at most
// `rows_of_each`.
void gather_rows(const Communicator& processes, std::int64_t rows_of_each, std::int64_t dim,
                 std::vector<float>& features, std::vector<std::int32_t>& labels) {
  constexpr std::int32_t no_row = -1;
  std::vector<float> own = std::move(features);
  std::vector<std::int32_t> own_labels = std::move(labels);
  own.resize(static_cast<std::size_t>(rows_of_each * dim));
  own_labels.resize(static_cast<std::size_t>(rows_of_each), no_row);
  const std::int64_t rows = processes.size() * rows_of_each;
  const Tensor all = Tensor::empty({rows, dim}, DType::f32, Device::cpu);
  const Tensor all_labels = Tensor::empty({rows}, DType::i32, Device::cpu);
  const Tensor given = Tensor::from(own, {rows_of_each, dim}, Device::cpu);
  const Tensor given_labels = Tensor::from(own_labels, {rows_of_each}, Device::cpu);
  {
    const Communicator::Group together(processes);
    processes.all_gather(given, Output(all));
    processes.all_gather(given_labels, Output(all_labels));
  }
  features.clear();
  labels.clear();
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int32_t label = all_labels.data<std::int32_t>()[row];
    if (label == no_row) continue;
    labels.push_back(label);
    const float* const values = all.data<float>() + row * dim;
    features.insert(features.end(), values, values + dim);
  }
}

}  // namespace

void ProbeOptions::check_values() const {
  check_range("--epochs", epochs, positive_integers);
  check_range("--batch-size", batch_size, positive_integers);
  check_range("--lr", lr, not_negative_numbers);
  check_range("--momentum", momentum, shares_below_one);
  check_range("--weight-decay", weight_decay, not_negative_numbers);
  check_range("--label-smoothing", label_smoothing, shares_below_one);
}

nlohmann::json ProbeOptions::to_json() const {
  return {{"epochs", epochs},     {"batch_size", batch_size},     {"lr", lr},
          {"momentum", momentum}, {"weight_decay", weight_decay}, {"label_smoothing", label_smoothing},
          {"seed", seed}};
}

Probe::Probe(const FeatureTable& training, int classes, const ProbeOptions& options)
    : options_(options),
      dim_(training.dim),
      classes_(classes),
      classifier_(store_, "fc", training.dim, classes) {
  const auto dim = static_cast<std::size_t>(dim_);
  std::vector<double> sum(dim), squares(dim);
  for (std::size_t i = 0; i < training.features.size(); ++i) sum[i % dim] += training.features[i];
  const auto rows = static_cast<double>(training.rows());
  for (std::size_t i = 0; i < training.features.size(); ++i) {
    const double centered = training.features[i] - sum[i % dim] / rows;
    squares[i % dim] += centered * centered;
  }
  for (std::size_t d = 0; d < dim; ++d) {
    mean_.push_back(static_cast<float>(sum[d] / rows));
    // A feature that never changes has no information. It becomes 0 and not infinite.
    const double deviation = std::sqrt(squares[d] / rows);
    deviation_.push_back(deviation > 1e-8 ? static_cast<float>(deviation) : 1.0f);
  }
  store_.allocate(probe_device, options.seed);
  optimizer_ = std::make_unique<Optimizer>(
      store_, SgdOptions{.momentum = options.momentum, .weight_decay = options.weight_decay});
}

Tensor Probe::standardized(const float* rows, std::int64_t count) const {
  Tensor result = Tensor::empty({count, dim_}, DType::f32, probe_device);
  float* out = result.data<float>();
  for (std::int64_t i = 0; i < count * dim_; ++i) {
    const auto d = static_cast<std::size_t>(i % dim_);
    out[i] = (rows[i] - mean_[d]) / deviation_[d];
  }
  return result;
}

void Probe::begin(std::int64_t steps) {
  schedule_ = std::make_unique<Schedule>(Schedule::cosine(options_.lr, steps));
  steps_done_ = 0;
}

void Probe::step(const Tensor& features, const std::vector<std::int32_t>& labels) {
  Tape tape;
  store_.attach(tape);
  const Tensor targets = Tensor::from(labels, {features.dim(0)}, probe_device);
  const Tensor loss =
      cross_entropy(classifier_(features), targets, static_cast<float>(options_.label_smoothing));
  tape.backward(loss);
  optimizer_->watch_loss(loss);
  optimizer_->set_learning_rate(schedule_->at(steps_done_++));
  optimizer_->step();
  check(optimizer_->non_finite() == Optimizer::none, ExitCode::non_finite,
        "step {} of the probe: the loss or a gradient is not finite; try a lower --lr", steps_done_);
}

void Probe::train_on_features(const FeatureTable& training, const Communicator& processes) {
  const std::int64_t rows = training.rows(), batch = std::min(options_.batch_size, rows);
  const std::int64_t steps =
      rows / batch;  // an incomplete last batch is left out; another epoch may draw those rows
  begin(options_.epochs * steps);
  Progress progress("classifier", options_.epochs, "images");
  std::vector<float> gathered(static_cast<std::size_t>(batch * dim_));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(batch));
  for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    const auto order = shuffled(rows, options_.seed, epoch);
    for (std::int64_t s = 0; s < steps; ++s) {
      for (std::int64_t i = 0; i < batch; ++i) {
        const std::int64_t row = order[static_cast<std::size_t>(s * batch + i)];
        std::copy_n(&training.features[static_cast<std::size_t>(row * dim_)], dim_,
                    &gathered[static_cast<std::size_t>(i * dim_)]);
        labels[static_cast<std::size_t>(i)] = training.labels[static_cast<std::size_t>(row)];
      }
      step(standardized(gathered.data(), batch), labels);
      if (s % steps_between_meetings == 0) meet(processes);
    }
    progress.advance(steps * batch, "");
  }
  check_finite_weights();
}

void Probe::train_on_images(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& how,
                            const Communicator& processes) {
  LoaderOptions loading;
  loading.batch_size = std::min(options_.batch_size, dataset.size());
  loading.views = 1;
  loading.size = how.image_size;
  loading.recipe = recipe("probe", how.image_size);
  loading.workers = how.workers;
  loading.seed = options_.seed;
  loading.share = {processes.rank(), processes.size(), false};
  const std::int64_t rows_of_each = (loading.batch_size + processes.size() - 1) / processes.size();
  Loader loader(dataset, loading);
  begin(options_.epochs * loader.batches_per_epoch());
  for (std::int64_t epoch = 0; epoch < options_.epochs; ++epoch) {
    Progress progress(fmt::format("classifier, epoch {}/{}", epoch + 1, options_.epochs),
                      loader.batches_per_epoch(), "images");
    loader.start_epoch(static_cast<std::uint32_t>(epoch));
    for (Batch batch; loader.next(batch);) {
      meet(processes);
      std::vector<float> features;
      if (batch.rows() > 0) {  // of a batch that is smaller than the number of processes some have no row
        const Tensor bytes =
            Tensor::from(batch.images, {batch.rows(), how.image_size, how.image_size, 3}, how.device);
        // Outside of any tape, because the encoder is frozen.
        features =
            encoder(normalize_images(bytes, how.pixels, how.precision), Mode::evaluate).to_vector<float>();
      }
      if (!processes.is_alone()) gather_rows(processes, rows_of_each, dim_, features, batch.labels);
      step(standardized(features.data(), batch.rows()), batch.labels);
      progress.advance(batch.rows(), "");
    }
  }
  check_finite_weights();
}

ProbeAccuracy Probe::evaluate(const FeatureTable& testing) const {
  const std::int64_t rows = testing.rows();
  const auto logits =
      classifier_(standardized(testing.features.data(), rows)).to_vector<float>();  // [rows, classes]
  std::int64_t best = 0, among_five = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = &logits[static_cast<std::size_t>(r * classes_)];
    const std::int32_t label = testing.labels[static_cast<std::size_t>(r)];
    // The number of classes with a score at least as high as the right one's; ties count against it, and so does a
    // score that is not a number.
    const auto rank = std::count_if(row, row + classes_, [&](float score) { return !(score < row[label]); });
    best += rank <= 1;
    among_five += rank <= 5;
  }
  return {.top1 = static_cast<double>(best) / static_cast<double>(rows),
          .top5 = static_cast<double>(among_five) / static_cast<double>(rows)};
}

Probe::Saved Probe::folded() const {
  // W (x - mean) / deviation + b = W' x + b'
  Saved saved{classifier_.weight.value.to_vector<float>(), classifier_.bias.value.to_vector<float>()};
  for (std::size_t i = 0; i < saved.weight.size(); ++i) {
    const std::size_t d = i % static_cast<std::size_t>(dim_);
    saved.weight[i] /= deviation_[d];
    saved.bias[i / static_cast<std::size_t>(dim_)] -= saved.weight[i] * mean_[d];
  }
  return saved;
}

// No step follows the last update to find that it was too large.
void Probe::check_finite_weights() const {
  const auto [weight, bias] = folded();
  const auto are_finite = [](const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  };
  check(are_finite(weight) && are_finite(bias), ExitCode::non_finite,
        "the probe has diverged: after step {} a weight of the classifier is not finite, so no result was "
        "written; try a lower --lr",
        steps_done_);
}

void Probe::save(const std::filesystem::path& path, const std::vector<std::string>& class_names,
                 const std::string& encoder, const std::optional<HeldOutImages>& held_out) const {
  const auto [weight, bias] = folded();
  save_classifier(path, {Tensor::from(weight, {classes_, dim_}, probe_device),
                         Tensor::from(bias, {classes_}, probe_device), class_names, true, encoder, held_out});
}

}  // namespace kindred
