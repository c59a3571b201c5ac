#include <kindred/apps/training/dry_run/planned_steps.h>
#include <kindred/data/loading/resident_views.h>
#include <kindred/layers/image_input/image_input.h>

namespace kindred {

PlannedSteps::PlannedSteps(const PretrainOptions& options, Device device, int classes)
    : o_(options), scope_(Device::plan, new_memory_pool(Device::plan)) {
  set_planned_device(device);
  learner_ = std::make_unique<Learner>(o_, Device::plan, classes);
}

PlannedSteps::~PlannedSteps() {
  set_planned_device(Device::cpu);
}

void PlannedSteps::take_batch() {
  for (const auto& [size, count] : view_sizes(o_.view_groups))
    bytes_.push_back(Tensor::empty({count * o_.batch_size, size, size, 3}, DType::u8, Device::plan));
  labels_ = Tensor::empty({2, o_.views * o_.batch_size}, DType::i32, Device::plan);
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
