// The features of a whole data set, computed by a frozen encoder without augmentation.
#pragma once

#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/encoder/visit_features.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace kindred {

struct FeatureOptions : FeatureInput {
  std::int64_t limit = 0;  // at most this many images, evenly spread over the set; 0: all
  std::string what;        // shown with the progress: "training features"
  // Called after each batch; true ends early with what is there; it may throw. Of several processes all end behind the
  // same batch.
  std::function<bool()> stop;
};

// visit_features(), with its progress. The processes share the work, so all of them must make this call; each of them
// visits all batches.
void for_each_feature_batch(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                            const std::function<void(const Batch&, const Tensor& features)>& visit,
                            std::vector<BadImage>* bad_images = nullptr,
                            const std::function<void(Batch&)>& change = {},
                            const Communicator& processes = world());

// The same for all images, with the features in memory: in every process the whole table, in the order of the set.
FeatureTable extract_features(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                              std::vector<BadImage>* bad_images = nullptr,
                              const Communicator& processes = world());

// Throws Error(non_finite) if one of the features is not finite, as those of a run that has diverged. Every figure of them
// would be of no meaning.
void check_finite_features(std::span<const float> features);
// The features, of any device and type, as f32 on the host. Throws as above.
Tensor finite_on_host(const Tensor& features);

}  // namespace kindred
