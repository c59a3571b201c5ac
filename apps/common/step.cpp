#include <kindred/apps/common/step.h>

namespace kindred {

std::unique_ptr<Optimizer> make_optimizer(const PretrainOptions& options, ParameterStore& store) {
  if (options.optimizer == "lars") {
    LarsOptions lars;
    lars.momentum = options.momentum;
    lars.weight_decay = options.weight_decay;
    return std::make_unique<Optimizer>(store, lars);
  }
  SgdOptions sgd;
  sgd.momentum = options.momentum;
  sgd.weight_decay = options.weight_decay;
  return std::make_unique<Optimizer>(store, sgd);
}

SupConOptions loss_options(const PretrainOptions& options) {
  SupConOptions loss;
  loss.temperature = static_cast<float>(options.temperature);
  loss.base_temperature = static_cast<float>(options.base_temperature);
  return loss;
}

Tensor contrastive_step(ContrastiveModel& model, Optimizer& optimizer, const Tensor& images,
                        const Tensor& labels, const SupConOptions& options,
                        const std::function<void(const Tape&)>& inspect) {
  Tape tape;
  model.store.attach(tape);
  const Tensor features = model(images, Mode::train);     // [views*batch, 128], unit rows
  const Tensor loss = supcon(features, labels, options);  // []
  if (inspect) inspect(tape);
  tape.backward(loss);
  optimizer.watch_loss(loss);
  optimizer.step();
  return loss;
}

}  // namespace kindred
