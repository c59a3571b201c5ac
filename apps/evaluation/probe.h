// The linear classifier of stage two. It is trained on standardized features and saved in a form that accepts
// plain ones.
#pragma once

#include <kindred/apps/evaluation/features.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/optimizer/schedule.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct ProbeOptions {
  std::int64_t epochs = 30;
  std::int64_t batch_size = 256;
  double lr = 0.1;  // cosine decay to 0
  double momentum = 0.9;
  double weight_decay = 0;
  double label_smoothing = 0;
  std::uint64_t seed = 0;

  void check_values() const;  // throws Error(usage)
  nlohmann::json to_json() const;
};

// What is said when a signal stops the training of a probe.
inline constexpr const char* probe_stopped =
    "the probe was stopped, and no result was written; the same command begins anew";

struct ProbeAccuracy {
  double top1 = 0, top5 = 0;  // fractions; top5 counts the best five classes, or all if there are fewer
};

class Probe {
 public:
  // Features are standardized by their mean and deviation over `training`. The two functions that train throw
  // Error(interrupted) after a signal, and Error(non_finite) if a loss, a gradient, or in the end a weight of what save()
  // writes is not finite.
  Probe(const FeatureTable& training, int classes, const ProbeOptions& options);

  // Of several processes each trains the same classifier on all features: it is small, and so its values are the same
  // as with one process. All must call it: now and then they wait for each other.
  void train_on_features(const FeatureTable& training, const Communicator& processes = world());
  // The paper's method: every epoch embeds augmented views (crop and flip) with the frozen encoder. Of several processes,
  // which must all make this call, each embeds its share of every batch, and trains on the features of all.
  void train_on_images(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& how,
                       const Communicator& processes = world());

  ProbeAccuracy evaluate(const FeatureTable& testing) const;

  // Writes fc.weight [classes, dim] and fc.bias [classes] for the encoder's features; the standardization is
  // folded in. The class names, the checksum of the encoder (encoder_checksum) and what was held out of the images of
  // the set are in the metadata. Throws Error(io).
  void save(const std::filesystem::path& path, const std::vector<std::string>& class_names,
            const std::string& encoder, const std::optional<HeldOutImages>& held_out = {}) const;

 private:
  Tensor standardized(const float* rows, std::int64_t count) const;  // [count, dim]
  void step(const Tensor& features, const std::vector<std::int32_t>& labels);
  void begin(std::int64_t steps);
  struct Saved {
    std::vector<float> weight, bias;  // [classes, dim], [classes], for the encoder's features
  };
  Saved folded() const;
  void check_finite_weights() const;

  ProbeOptions options_;
  std::int64_t dim_;
  int classes_;
  std::vector<float> mean_, deviation_;  // [dim]
  ParameterStore store_;
  Linear classifier_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Schedule> schedule_;
  std::int64_t steps_done_ = 0;
};

}  // namespace kindred
