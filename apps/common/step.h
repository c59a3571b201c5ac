// One step of stage one, and what it takes: the heart of `pretrain`, of its benchmark and of its memory plan.
#pragma once

#include <kindred/apps/common/loss.h>
#include <kindred/apps/common/pretrain_options.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/schedule.h>
#include <kindred/models/contrastive_model.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace kindred {

std::unique_ptr<Optimizer> make_optimizer(const PretrainOptions& options, ParameterStore& store);

// The learning rate of every step.
Schedule schedule_of(const PretrainOptions& options, std::int64_t steps_per_epoch);

LossOptions loss_options(const PretrainOptions& options);

// The encoder with what the loss looks at: a head, or for cross-entropy a classifier of so many classes.
ContrastiveModel make_model(const PretrainOptions& options, int classes);

// The images of a batch as the encoder takes them, bytes [views*batch, size, size, 3]: one tensor for each size
// of views (multi-crop has two), in the order of the options' groups. `bytes` is the batch's own memory
// (data/loader.h).
std::vector<Tensor> image_groups(const PretrainOptions& options, std::span<const std::uint8_t> bytes,
                                 std::int64_t batch, Device device);

// What makes two rows positives of each other: their class, or in SimCLR their image. [views*batch] of the
// labels and indices of a batch.
std::vector<std::int32_t> view_labels(const PretrainOptions& options, const std::vector<std::int32_t>& labels,
                                      const std::vector<std::int64_t>& indices);

// Forward, loss, backward, update. `images` are normalized [views*batch, h, w, 3], `labels` i32 [views*batch].
// Returns the loss, f32 [] on the model's device, and sets the optimizer's sticky flag when the loss or a
// gradient is not finite; then nothing is updated. `inspect` sees the tape after the forward pass.
// Several groups of images are encoded one after the other, each with batch statistics of its own, and their
// features stand below each other; `features` gets them, where it is given.
Tensor contrastive_step(ContrastiveModel& model, Optimizer& optimizer, const std::vector<Tensor>& images,
                        const Tensor& labels, const LossOptions& options,
                        const std::function<void(const Tape&)>& inspect = {}, Tensor* features = nullptr);
Tensor contrastive_step(ContrastiveModel& model, Optimizer& optimizer, const Tensor& images,
                        const Tensor& labels, const LossOptions& options,
                        const std::function<void(const Tape&)>& inspect = {});

}  // namespace kindred
