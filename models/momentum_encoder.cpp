#include <kindred/engine/kernels/accumulate.h>
#include <kindred/models/momentum_encoder.h>

namespace kindred {

MomentumEncoder::MomentumEncoder(const ContrastiveModel& model, HeadKind head, DType compute, double momentum)
    : copy_(model.encoder.model, model.encoder.stem, head), momentum_(momentum) {
  const Tensor& values = model.store.flat_values();
  copy_.store.allocate(values.device(), 0, compute, values.dtype());
  copy_.store.set_trainable(false);
  copy_.encoder.freeze_like(model.encoder);
  copy_from(model);
}

void MomentumEncoder::copy_from(const ContrastiveModel& model) {
  Tensor(copy_.store.flat_values()).copy_from(model.store.flat_values());
  for (std::size_t i = 0; i < model.store.buffers().size(); ++i)
    copy_.store.buffers()[i].value.copy_from(model.store.buffers()[i].value);
  copy_.store.refresh_low_precision();
}

void MomentumEncoder::follow(const ContrastiveModel& model) {
  move_average(Output(copy_.store.flat_values()), model.store.flat_values(), 1 - momentum_);
  copy_.store.refresh_low_precision();
}

std::vector<std::pair<std::string, Tensor>> MomentumEncoder::state() const {
  return copy_.store.tensors("momentum_encoder.");
}

}  // namespace kindred
