// The features of a whole data set, computed by a frozen encoder without augmentation.
#pragma once

#include <kindred/apps/evaluation/nearest_neighbours.h>
#include <kindred/data/loading/loader.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/resnet.h>

#include <functional>
#include <string>

namespace kindred {

struct FeatureOptions {
  Device device = Device::cpu;
  DType precision = DType::f32;
  PixelStatistics pixels = imagenet_pixels;
  int image_size = 224;
  int batch_size = 128;
  int workers = 0;
  std::int64_t limit = 0;      // at most this many images, evenly spread over the set; 0: all
  std::string what;            // shown with the progress: "training features"
  std::function<bool()> stop;  // called after each batch; true ends early with what is there; it may throw
};

// Calls visit(batch, features [rows, dim]) for one batch after the other, in the order of the set. Memory use
// does not grow with the set. Images that cannot be read are omitted (and listed in bad_images if given),
// because a replacement would falsify accuracies. If `change` is given, it changes the pixels of each batch
// before they are embedded.
void for_each_feature_batch(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                            const std::function<void(const Batch&, const Tensor& features)>& visit,
                            std::vector<BadImage>* bad_images = nullptr,
                            const std::function<void(Batch&)>& change = {});

// The same for all images, with the features in memory.
FeatureTable extract_features(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                              std::vector<BadImage>* bad_images = nullptr);

}  // namespace kindred
