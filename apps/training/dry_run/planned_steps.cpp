#include <kindred/apps/training/dry_run/planned_steps.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/data/loading/resident_views.h>
#include <kindred/engine/communicator/no_transport.h>
#include <kindred/layers/image_input/image_input.h>

#include <memory>

namespace kindred {
namespace {

// Between processes that are only planned: tensors of device plan do not travel, and nothing else may.
std::shared_ptr<Transport> no_transport(std::int64_t processes) {
  if (processes <= 1) return nullptr;
  return std::make_shared<NoTransport>("a prediction sent values of the host to processes that are not there");
}

}  // namespace

PlannedProcesses::PlannedProcesses(std::int64_t count)
    : processes_(0, static_cast<int>(count), no_transport(count)), world_(processes_) {}

PlannedSteps::PlannedSteps(const PretrainOptions& options, Device device, int classes)
    : o_(options), processes_(options.processes), scope_(Device::plan, new_memory_pool(Device::plan)) {
  set_planned_device(device);
  learner_ = std::make_unique<Learner>(o_, Device::plan, classes);
}

PlannedSteps::~PlannedSteps() {
  set_planned_device(Device::cpu);
}

void PlannedSteps::take_batch() {
  const std::int64_t batch = local_batch(o_);
  for (const auto& [size, count] : view_sizes(o_.view_groups))
    bytes_.push_back(Tensor::empty({count * batch, size, size, 3}, DType::u8, Device::plan));
  labels_ = Tensor::empty({2, o_.views * batch}, DType::i32, Device::plan);
}

std::size_t PlannedSteps::batch_bytes() const {
  std::size_t bytes = labels_.bytes();
  for (const Tensor& each : bytes_) bytes += each.bytes();
  return bytes;
}

StepInputs PlannedSteps::inputs(const Tensor& pictures) const {
  StepInputs of_step{.images = {}, .labels = labels_};
  for (const Tensor& each : bytes_) {
    if (pictures.defined()) {
      const auto bytes = static_cast<std::int64_t>(sizeof(ResidentView));
      resident_views_plan.make(pictures, Tensor::empty({each.dim(0) * bytes}, DType::u8, Device::plan),
                               Output(each));
    }
    of_step.images.push_back(normalize_images(each, o_.pixel_statistics(), o_.precision.compute));
  }
  return of_step;
}

}  // namespace kindred
