// What a step of stage one is built from, according to the options: model, optimizer, schedule, images and
// labels.
#pragma once

#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/optimizer/schedule.h>
#include <kindred/models/contrastive_model.h>

#include <memory>
#include <span>
#include <vector>

namespace kindred {

// Of an allocated model. The encoder's parameters have their own learning rate, and those that are frozen have none.
std::unique_ptr<Optimizer> make_optimizer(const PretrainOptions& options, ContrastiveModel& model);

// The images of a batch that one process computes. Throws Error(usage) if the processes cannot have equal shares.
std::int64_t local_batch(const PretrainOptions& options, const Communicator& processes = world());

// The learning rate of every step.
Schedule make_schedule(const PretrainOptions& options, std::int64_t steps_per_epoch);

LossOptions loss_options(const PretrainOptions& options);

// Whether nothing of the encoder learns (--freeze-until encoder), only the head or the classifier.
bool freezes_encoder(const PretrainOptions& options);

// The encoder with a projection head, or for cross-entropy with a classifier of this many classes.
ContrastiveModel make_model(const PretrainOptions& options, int classes);

// This process's images of a batch in the form that the encoder takes, bytes [views*batch, size, size, 3]: one tensor
// for each size of views (multi-crop has two), in the order of the options' groups. `bytes` is the batch's own
// memory (data/loading/loader.h).
std::vector<Tensor> images_by_size(const PretrainOptions& options, std::span<const std::uint8_t> bytes,
                                   std::int64_t batch, Device device);

// The labels by which the loss and the online probe compare rows, i32 [2, views*batch]. First the values that
// make two rows positives of each other: their class, or in SimCLR their image. Then their class. Computed from
// the labels and indices of a batch.
std::vector<std::int32_t> view_labels(const PretrainOptions& options, const std::vector<std::int32_t>& labels,
                                      const std::vector<std::int64_t>& indices);

}  // namespace kindred
