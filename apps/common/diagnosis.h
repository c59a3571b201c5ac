// What a run says about itself at the end of an epoch: figures for metrics.jsonl and the screen, and warnings.
#pragma once

#include <kindred/apps/common/loss.h>
#include <kindred/data/loader.h>
#include <kindred/losses/diagnostics/diagnostics.h>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// Watches the batches of a run. Costs nothing but a look at the indices of each batch, and once in an epoch the
// figures of at most a thousand rows of its last batch.
class Diagnosis {
 public:
  Diagnosis(const LossOptions& loss, int classes) : loss_(loss), classes_(classes) {}

  // The batch that the next step uses.
  void see(const std::vector<std::int32_t>& labels, const std::vector<std::int64_t>& indices);
  // features f32 [views*batch, dim] of the batch seen last, and the positives i32 [anchors] that the loss
  // counted, or undefined; on any device. Their figures for metrics.jsonl; null for a classifier's logits.
  nlohmann::json look_at(const Tensor& features, const Tensor& positives = {});

  // Judges the epoch that ends and begins a new one. `epoch` counts from 1, `loss` is its mean.
  void finish_epoch(std::int64_t epoch, double loss, double collapse);
  // One line of the figures: "positives 3.2 an anchor, ...".
  const std::string& line() const { return line_; }
  // Sentences, each with what to try; each kind once in a run.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void warn(const char* kind, const std::string& sentence);
  void judge(std::int64_t epoch, double loss, double collapse);

  LossOptions loss_;
  int classes_;
  std::vector<std::int64_t> images_;         // of the last batch
  std::vector<std::int64_t> sorted_before_;  // the same, sorted, for the next one to be compared with
  std::vector<std::int32_t> labels_;
  std::int64_t batches_ = 0, repeated_batches_ = 0, one_class_batches_ = 0, rows_ = 0, repeated_images_ = 0;
  std::optional<FeatureDiagnostics> features_;
  std::string line_;
  std::vector<std::string> warnings_, said_;
};

// What is odd before a step was made: a temperature that makes NaN likely, a set of one class. Empty when
// nothing.
std::vector<std::string> warnings_at_start(const LossOptions& loss, const std::vector<std::int32_t>& labels,
                                           bool half_precision);

}  // namespace kindred
