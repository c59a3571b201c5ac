// What became of a run, in words: whether it goes on, its best epoch, its verdict.
#pragma once

#include <kindred/apps/report/run_files.h>
#include <kindred/apps/training/accuracies.h>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

struct BestEpoch {
  std::int64_t epoch = 0;
  std::size_t row = 0;    // of the table
  std::string measure{};  // "classifier_top1", "knn_top1" or "loss": what it is the best by
  double figure = 0;      // below 0: the measure was not taken in this epoch

  std::string in_words() const;  // "neighbours 0.821"
};

// The epoch that `pretrain` keeps as the best one, as its checkpoints say it (RunFiles::best). Only if they do not: the one that it
// would keep by its lines alone. They do not tell an epoch that had diverged, or that the images to evaluate on became others.
// Nothing if the run keeps none.
std::optional<BestEpoch> best_epoch_of(const RunFiles& run);

// By the lines alone: by the classifier's accuracy, or else that of the neighbours, or else the loss,
// whichever the run measures. Of equal figures that of the lower loss, and of equal losses the later epoch. Nothing if no epoch
// has a loss.
std::optional<BestEpoch> best_epoch_of(const MetricTable& metrics);

enum class RunCondition : std::uint8_t { finished, under_way, not_finite, failed, stopped };
RunCondition condition_of(const RunFiles& run);

// "finished: 12 of 12 epochs in 56 s", "under way: ...", "stopped: ...; `pretrain --resume` goes on with it", "failed: ...".
std::string condition_in_words(const RunFiles& run);

// The verdict of apps/training/run/verdict as a sentence, for the newest figure. Without `chance`, which needs the data set, it is
// said what the neighbours are, and that chance is not known. Empty if no figure says anything.
std::string verdict_in_words(const RunFiles& run, const std::optional<Chance>& chance);

// Whether a verdict in words is the good one.
bool has_learned(const std::string& verdict);

// Chance on the images that the newest figure of the neighbours is on: `of_set` is that of all images to evaluate on, if the set
// is known; the run says it if some could not be read.
std::optional<Chance> chance_for(const RunFiles& run, const std::optional<Chance>& of_set);

}  // namespace kindred
