#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>

namespace kindred {

void for_each_feature_batch(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                            const std::function<void(const Batch&, const Tensor& features)>& visit,
                            std::vector<BadImage>* bad_images, const std::function<void(Batch&)>& change,
                            const Communicator& processes) {
  const Dataset used = options.limit > 0 ? evenly_spread(dataset, options.limit) : dataset;
  Progress progress(options.what, (used.size() + options.batch_size - 1) / options.batch_size, "images");
  const auto visit_and_show = [&](const Batch& batch, const Tensor& features) {
    visit(batch, features);
    progress.advance(batch.rows(), "");
    return !(options.stop && options.stop());
  };
  visit_features(encoder, used, options, visit_and_show, bad_images, change, processes);
}

FeatureTable extract_features(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                              std::vector<BadImage>* bad_images, const Communicator& processes) {
  FeatureTable table;
  table.dim = encoder.feature_dim;
  const auto keep = [&](const Batch& batch, const Tensor& features) {
    const std::vector<float> values = features.to_vector<float>();
    table.features.insert(table.features.end(), values.begin(), values.end());
    table.labels.insert(table.labels.end(), batch.labels.begin(), batch.labels.end());
  };
  for_each_feature_batch(encoder, dataset, options, keep, bad_images, {}, processes);
  return table;
}

Tensor finite_on_host(const Tensor& features) {
  const Tensor rows = features.to(Device::cpu, DType::f32);
  check_finite_features({rows.data<float>(), static_cast<std::size_t>(rows.numel())});
  return rows;
}

void check_finite_features(std::span<const float> features) {
  check(
      std::all_of(features.begin(), features.end(), [](float value) { return std::isfinite(value); }),
      ExitCode::non_finite,
      "the encoder's features are not finite, so its weights are of no use: its run has diverged; give another "
      "encoder, or train one with a lower --lr");
}

}  // namespace kindred
