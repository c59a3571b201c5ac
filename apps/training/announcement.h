// The first lines of a run: what it trains, on what, and what its loss is compared with.
#pragma once

#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/learner.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/optimizer/schedule.h>

#include <string>

namespace kindred {

// What several processes mean for a batch and for the images that a batch norm sees, a line each. "" of one process.
std::string processes_in_words(const PretrainOptions& options);

// Prints them, also the warnings before the first step. `loss_of_equals` is the loss if all features are equal (loss.h).
void announce_run(const PretrainOptions& options, const Dataset& train, const BatchSource& batches,
                  const Schedule& schedule, const Learner& learner, const LossOptions& loss,
                  double loss_of_equals);

}  // namespace kindred
