#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/online_probe.h>
#include <kindred/layers/batch_norm/shared_statistics.h>

#include <algorithm>
#include <span>

namespace kindred {
namespace {

constexpr double peak_rate = 0.1;
constexpr std::int64_t rows_at_once = 4096;  // during evaluation

}  // namespace

OnlineProbe::OnlineProbe(std::int64_t feature_dim, int classes, std::uint64_t seed, Device device,
                         DType compute, const Communicator& processes)
    : processes_(processes),
      device_(device),
      compute_(compute == DType::f16 ? DType::f32 : compute),  // with f16 its gradients would need a loss scale
      norm_(store_, "norm", feature_dim),
      classifier_(store_, "fc", feature_dim, classes) {
  store_.allocate(device, seed, compute_, master_type(compute_));
  optimizer_ = std::make_unique<Optimizer>(store_, SgdOptions{.momentum = 0.9});
  if (!processes_.description().empty()) sums_.emplace(processes_, store_);
}

double OnlineProbe::rate(double share_of_peak) {
  return peak_rate * share_of_peak;
}

Tensor OnlineProbe::step(const Tensor& features, const Tensor& classes) {
  const SharedStatistics shared(processes_);
  Tape tape;
  store_.attach(tape);
  // A tensor that is new to every tape, so no gradient flows back.
  const Tensor alone =
      features.dtype() == compute_ ? features.reshape(features.shape()) : features.to(device_, compute_);
  LossOptions options;
  options.kind = LossKind::cross_entropy;
  const Tensor loss = loss_of(processes_, classifier_(norm_(alone, Mode::train)), classes, options);
  tape.backward(loss);
  if (sums_) sums_->finish();
  optimizer_->watch_loss(loss);
  optimizer_->step();
  return loss;
}

double OnlineProbe::accuracy(const FeatureTable& table) const {
  std::int64_t correct = 0;
  for (std::int64_t first = 0; first < table.rows(); first += rows_at_once) {
    const std::int64_t rows = std::min(rows_at_once, table.rows() - first);
    const auto values =
        std::span(table.features)
            .subspan(static_cast<std::size_t>(first * table.dim), static_cast<std::size_t>(rows * table.dim));
    const Tensor features = Tensor::from(values, {rows, table.dim}, device_).to(device_, compute_);
    const std::vector<float> logits = classifier_(norm_(features, Mode::evaluate)).to_vector<float>();
    const auto classes = static_cast<std::ptrdiff_t>(logits.size()) / rows;
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto begin = logits.begin() + row * classes;
      const auto best = std::max_element(begin, begin + classes) - begin;
      correct += best == table.labels[static_cast<std::size_t>(first + row)];
    }
  }
  return static_cast<double>(correct) / static_cast<double>(std::max<std::int64_t>(1, table.rows()));
}

std::vector<std::pair<std::string, Tensor>> OnlineProbe::state() const {
  std::vector<std::pair<std::string, Tensor>> all = store_.tensors("online_probe.");
  for (const auto& [name, tensor] : optimizer_->state()) all.emplace_back("online_probe." + name, tensor);
  return all;
}

void OnlineProbe::refresh() {
  store_.refresh_low_precision();
}

}  // namespace kindred
