// What a run has come to: whether its features are better than chance and than those that it began with.
#pragma once

#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/data/sets/dataset.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

// If all images can be read.
Chance chance_of(const Dataset& evaluation);
// For the newest figure of the nearest neighbours. Its line of metrics.jsonl says on how many images it is if some could not be
// read (knn_images and knn_chance).
Chance chance_of(const RunState& run, const Dataset& evaluation);

// Whether an accuracy on this many images is higher than another one by more than luck: by two standard deviations.
bool is_clearly_above(double accuracy, double other, std::int64_t images);

// Whether the newest figure of the nearest neighbours is clearly above chance: `now`, or else the newest of the epochs
// so far, or else the one before the first step. False if there is none, or no evaluation.
bool is_above_chance(const RunState& run, std::optional<double> now, const std::optional<Dataset>& evaluation);

// The accuracy of the nearest neighbours before the first step, with which the verdict compares. Prints it: "before the
// first step: neighbours 0.412 (chance 0.250)", and how many images to evaluate on could not be read. Nothing if the run
// measures none, or if a signal interrupts it.
std::optional<double> measure_start(Learner& learner, const PretrainOptions& options, Device device,
                                    const Dataset& train, const std::optional<Dataset>& evaluation);

// "verdict: the encoder has learned: neighbours 0.812 on 240 images, untrained 0.431, chance 0.250", or that it has not,
// or that it has collapsed; of an encoder that is frozen, that its features are still the same. Empty if no figure says it.
// Chance is not known without an evaluation.
std::string verdict(const RunState& run, const std::optional<Chance>& chance, const LossOptions& loss,
                    bool began_untrained, bool encoder_learns = true);

// "20 epochs took 12 min; the best was epoch 12 (neighbours 0.831)". The time is not said if an earlier version did not
// save it. Empty before the end of the first epoch.
std::string describe_epochs(const RunState& run, std::optional<std::int64_t> best, const std::string& figure);

// "--early-stop 5: the figure has not improved for 5 epochs, and the run ends". An equal figure is no improvement, but
// the best epoch may be one of those that have it (RunState::is_improved_by): then the line says so. Empty if the run has
// done all epochs.
std::string early_end(const RunState& run, std::int64_t epochs, std::int64_t early_stop,
                      std::optional<std::int64_t> best = {});

// The command that comes next, as for a shell: a probe of the encoder; without images to evaluate on, its features; for
// a classifier its use. `unlabelled` is the folder of training images without classes, which is no set with splits.
std::string next_command(const PretrainOptions& options, bool has_evaluation, bool classifies,
                         const std::string& unlabelled = "");

// A line for each file that a run leaves: the list of its bad images if there are any, encoders, classifier. Then the
// memory that the process took at most.
std::string closing_files(const PretrainOptions& options, std::size_t bad_images,
                          std::optional<std::int64_t> best);

// The lines above of a run that has ended, each with its end; those that are empty are left out.
std::string closing_lines(const PretrainOptions& options, const RunState& run, std::optional<std::int64_t> best,
                          const Dataset& train, const std::optional<Dataset>& evaluation);

}  // namespace kindred
