// What no row of option_rows.cpp says about the options of pretrain, because it depends on several of them. All functions
// throw Error(usage), which names the flags.
#pragma once

#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/pretrain_options.h>

namespace kindred {

// The data set, the weights, and what happens to a run that is there already. Throws also Error(file).
void check_relations(const PretrainOptions& options);
// How many processes the run has: as many as were started (world()). A --dry-run of one process predicts what one of those
// that the flags ask for would take. To be called first, because what a batch is divided into depends on it.
void set_processes(PretrainOptions& options, const GivenOptions& flags);
// --gpu and --prediction. The GPU of a prediction need not be present.
void check_prediction(const PretrainOptions& options);
// The recipe or file of --augment says how the views are made, and a file also how many there are.
void set_views(PretrainOptions& options, const GivenOptions& flags);
// Rejects flags that were given but that the loss or the optimizer does not use. Values of a preset or a file of --config
// are not rejected.
void check_flags_fit(const PretrainOptions& options, const GivenOptions& flags, const LossOptions& loss);
// Queue and momentum encoder.
void check_beyond_the_batch(const PretrainOptions& options, const LossOptions& loss);
// Which part of the model learns. Which stages the model has is asked only if it is known: without --model it is that of
// the file of --weights, which is read later.
void check_freezing(const PretrainOptions& options, const LossOptions& loss, bool model_is_known);
// What a batch is divided into, also by the processes, and what takes in its features.
void check_batch(const PretrainOptions& options);
// A batch of one image, from which most losses learn nothing.
void check_one_image(const PretrainOptions& options, const LossOptions& loss);

}  // namespace kindred
