#include <kindred/apps/training/step_parts.h>
#include <kindred/models/resnet.h>
#include <kindred/models/weight_names.h>

#include <cmath>

namespace kindred {

namespace {

OptimizerOptions optimizer_options(const PretrainOptions& options) {
  if (options.optimizer == OptimizerKind::lars) {
    LarsOptions lars;
    lars.momentum = options.momentum;
    lars.weight_decay = options.weight_decay;
    return lars;
  }
  if (options.optimizer == OptimizerKind::rmsprop) {
    RmsPropOptions rmsprop;
    rmsprop.rho = options.rmsprop_rho;
    rmsprop.momentum = options.momentum;
    rmsprop.eps = options.rmsprop_eps;
    rmsprop.weight_decay = options.weight_decay;
    return rmsprop;
  }
  if (options.optimizer == OptimizerKind::adamw) {
    AdamWOptions adamw;
    adamw.beta1 = options.momentum;
    adamw.beta2 = options.beta2;
    adamw.weight_decay = options.weight_decay;
    return adamw;
  }
  SgdOptions sgd;
  sgd.momentum = options.momentum;
  sgd.weight_decay = options.weight_decay;
  return sgd;
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const PretrainOptions& options, ContrastiveModel& model) {
  const auto rate_factor = [&](const Parameter& parameter) {
    if (model.encoder.is_frozen(parameter.name)) return 0.0;
    return belongs_to_encoder(parameter.name) ? options.encoder_lr_factor : 1.0;
  };
  auto optimizer = std::make_unique<Optimizer>(model.store, optimizer_options(options), rate_factor);
  if (options.precision.scales_loss()) optimizer->scale_loss();
  return optimizer;
}

std::int64_t local_batch(const PretrainOptions& options, const Communicator& processes) {
  check(options.batch_size % processes.size() == 0, ExitCode::usage,
        "--batch-size {}: {} processes cannot have equal shares of it; use a multiple of {}",
        options.batch_size, processes.size(), processes.size());
  return options.batch_size / processes.size();
}

Schedule make_schedule(const PretrainOptions& o, std::int64_t steps_per_epoch) {
  Warmup warmup;
  warmup.steps = std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch));
  warmup.start = o.warmup_start_lr;
  return Schedule::cosine(o.lr, o.epochs * steps_per_epoch, o.lr * o.lr_floor).with_warmup(warmup);
}

bool freezes_encoder(const PretrainOptions& options) {
  if (options.freeze_until.empty()) return false;
  const ResNetSpec& spec = resnet_spec(options.model);
  return frozen_stages(spec, options.freeze_until) == spec.depths.size() + 1;
}

LossOptions loss_options(const PretrainOptions& options) {
  LossOptions loss =
      options.loss_flags.resolve(options.loss, options.temperature, options.base_temperature, options.views);
  loss.queue = options.queue;
  loss.compares_keys = options.momentum_encoder > 0;
  return loss;
}

ContrastiveModel make_model(const PretrainOptions& options, int classes) {
  return {options.model, options.stem, options.head, loss_options(options).classifies() ? classes : 0};
}

std::vector<Tensor> images_by_size(const PretrainOptions& options, std::span<const std::uint8_t> bytes,
                                   std::int64_t batch, Device device) {
  std::vector<Tensor> groups;
  for (const auto& [size, count] : view_sizes(options.view_groups)) {
    const Shape shape{count * batch, size, size, 3};
    const auto length = static_cast<std::size_t>(shape.numel());
    groups.push_back(Tensor::from(bytes.first(length), shape, device));
    bytes = bytes.subspan(length);
  }
  return groups;
}

std::vector<std::int32_t> view_labels(const PretrainOptions& options, const std::vector<std::int32_t>& labels,
                                      const std::vector<std::int64_t>& indices) {
  const bool by_image = loss_options(options).by_image();
  std::vector<std::int32_t> of_views;
  for (std::int64_t view = 0; view < options.views; ++view)
    if (!by_image)
      of_views.insert(of_views.end(), labels.begin(), labels.end());
    else
      of_views.insert(of_views.end(), indices.begin(), indices.end());
  for (std::int64_t view = 0; view < options.views; ++view)
    of_views.insert(of_views.end(), labels.begin(), labels.end());
  return of_views;
}

}  // namespace kindred
