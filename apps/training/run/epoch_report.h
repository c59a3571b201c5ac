// What a run reports about an epoch that has ended: a line of metrics.jsonl and a line on the terminal.
#pragma once

#include <kindred/engine/communicator/gradient_sums.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

// What the best epoch is chosen by, in one epoch.
struct EpochFigure {
  // Its kind. Figures of two kinds cannot be compared.
  std::string kind;             // "classifier" or "neighbours", of which it is the accuracy, or "loss"
  std::optional<double> score;  // the accuracy (-1 in an epoch without a measurement), or minus the loss
  bool is_measured = false;     // false in an epoch without that measurement, or without an update
  // The images of an accuracy, "40 images (val)". Those on other images cannot be compared either.
  std::string measured_on{};
};

struct EpochReport {
  std::int64_t epoch = 0, epochs = 0;  // this epoch, counted from 1; the number of epochs
  std::optional<double> loss;          // mean over the epoch's updates; none if every step was skipped
  double chance_loss = 0;              // loss of equal features
  double learning_rate = 0;            // of the last step
  double views_per_second = 0;         // including evaluation
  double step_views_per_second = 0;    // of the steps alone
  double data_wait = 0;                // the fraction of the time in which the device waited for a batch
  std::optional<double> neighbours;    // top-1 of the nearest neighbours, if it was measured
  std::optional<std::int64_t> neighbours_of{};  // images, if some of the evaluation could not be read
  double neighbours_chance = 0;                 // on these
  bool has_probe = false;                       // whether an online probe learns beside the model
  std::optional<double> probe_loss;             // its mean loss over the same updates
  std::optional<double> probe_accuracy;         // its top-1 accuracy, if it was measured
  bool has_classifier = false;                  // whether the loss is of a classifier, as cross-entropy
  std::optional<double> classifier_top1, classifier_top5;  // its accuracies, if they were measured
  std::int64_t skipped_steps = 0;                          // steps without an update
  double seconds = 0;                                      // that the epoch took, with its evaluation
  std::string time{};                                      // of its end: "2025-03-01T09:30:00Z"
  double seconds_left = 0;                                 // of the run, as fast as its epochs so far
  nlohmann::json features = nullptr;                       // figures of the last batch (Diagnosis::look_at)
  int processes = 1;                                       // that trained together
  // How gradients travelled between them, in this epoch, with the times of the process that reports.
  std::optional<GradientSums::Figures> gradients{};

  nlohmann::json to_json() const;
  std::string to_string() const;
  // The accuracy of the classifier or else of the nearest neighbours, if the run measures any, and otherwise the loss. It
  // has no score without an update.
  EpochFigure figure(bool run_measures) const;
};

}  // namespace kindred
