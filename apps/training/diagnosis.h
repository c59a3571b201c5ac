// What a run reports about itself at the end of an epoch: figures for metrics.jsonl and the screen, and
// warnings.
#pragma once

#include <kindred/apps/training/loss.h>
#include <kindred/losses/diagnostics/diagnostics.h>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// Watches the batches of a run. For each batch it only reads the indices, and once per epoch it computes
// figures from at most a thousand rows of the last batch.
class Diagnosis {
 public:
  // `encoder_learns`: if it is frozen, nearly equal features are those of a head, and no collapse of the encoder.
  Diagnosis(const LossOptions& loss, int classes, bool encoder_learns = true)
      : loss_(loss), classes_(classes), encoder_learns_(encoder_learns) {}

  // The batch of the next step: its labels, the images that it shows, and those that were asked for. These differ
  // where an image cannot be read and another one stands in for it.
  void see(const std::vector<std::int32_t>& labels, const std::vector<std::int64_t>& indices,
           const std::vector<std::int64_t>& drawn);
  void see(const std::vector<std::int32_t>& labels, const std::vector<std::int64_t>& indices) {
    see(labels, indices, indices);
  }
  // features f32 [views*batch, dim] of the latest batch, and the positives i32 [anchors] that the loss counted,
  // or an undefined tensor; both on any device. Returns their figures for metrics.jsonl, or null if the loss
  // compares a classifier's logits.
  nlohmann::json look_at(const Tensor& features, const Tensor& positives = {});

  // Judges the epoch that has ended and begins a new one. `epoch` counts from 1, and `loss` is the epoch's
  // mean. Without a loss the model did not learn, so its features are not judged. `learns_in_warm_up` says that the
  // learning rate still rises and that the features are better than chance: nearly equal features are then no collapse.
  void finish_epoch(std::int64_t epoch, std::optional<double> loss, double collapse,
                    bool learns_in_warm_up = false);
  // The figures on one line: "positives 3.2 an anchor, ...".
  const std::string& line() const { return line_; }
  // Warnings, each a sentence that says what to try. Each kind occurs once per run.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void warn(const char* kind, const std::string& sentence);
  void judge(std::int64_t epoch, double loss, double collapse, bool learns_in_warm_up);
  // What is said of outputs that are nearly equal, and of outputs of few directions: who they are, and what it means.
  struct WordsOnSpread {
    const char* kind;
    const char* equal;
    std::string if_equal;
    const char* few;
    std::string if_few;
  };
  void judge_spread(double loss, double collapse, const WordsOnSpread& words);
  void judge_collapse(double loss, double collapse);
  void judge_head(double loss, double collapse);  // of a frozen encoder

  LossOptions loss_;
  int classes_;
  bool encoder_learns_;
  std::vector<std::int64_t> images_;         // of the last batch
  std::vector<std::int64_t> sorted_before_;  // those asked for, sorted, to be compared with the next batch
  std::vector<std::int32_t> labels_;
  std::int64_t batches_ = 0, repeated_batches_ = 0, one_class_batches_ = 0, rows_ = 0, repeated_images_ = 0;
  std::optional<FeatureDiagnostics> features_;
  std::string line_;
  std::vector<std::string> warnings_, said_;
};

// Features with a uniformity above this are nearly equal: the encoder has collapsed.
inline constexpr double collapsed_uniformity = -0.05;

// "try a lower --lr, ...": what may help an encoder that has collapsed with this loss.
std::string advice_on_collapse(const LossOptions& loss);
// "try a lower --lr, ...": what may help if this loss or a gradient of it is not finite.
std::string advice_on_non_finite(const LossOptions& loss);

// Warnings before the first step: a temperature that makes NaN likely, a set with a single class. Empty if
// there are none.
std::vector<std::string> warnings_at_start(const LossOptions& loss, const std::vector<std::int32_t>& labels,
                                           bool half_precision);

}  // namespace kindred
