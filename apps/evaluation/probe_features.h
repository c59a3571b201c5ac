// What a linear probe learns from and is measured on.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/data/sets/dataset.h>

#include <string>
#include <vector>

namespace kindred {

struct ProbeImages {
  Dataset train, evaluation;
};

// Both parts of the set. Prints their notes. Throws Error(data), also if there is nothing to evaluate on.
ProbeImages open_probe_images(const DataFlags& data);

struct ProbeFeatures {
  FeatureTable training, testing;
  std::vector<BadImage> bad;  // of both
};

// The features of both parts; of several processes, which must all make this call, each computes a share. `path` is what the
// set is called. Throws Error(data) if no image of a part can be read, and Error(non_finite).
ProbeFeatures probe_features(const FrozenEncoder& frozen, const ProbeImages& images, const std::string& path);

}  // namespace kindred
