// Features of a whole data set by a frozen encoder, without augmentation.
#pragma once

#include <kindred/apps/common/nearest_neighbours.h>
#include <kindred/data/loader.h>
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
  std::function<bool()> stop;  // asked after each batch; true ends early, with what there is
};

// Calls visit(batch, features [rows, dim]) for one batch after the other, in the order of the set; memory does
// not grow with the set. Images that cannot be read are left out (and listed in bad_images if given): a
// stand-in would falsify accuracies. `change`, where given, changes the pixels of each batch before they are
// embedded.
void for_each_feature_batch(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                            const std::function<void(const Batch&, const Tensor& features)>& visit,
                            std::vector<BadImage>* bad_images = nullptr,
                            const std::function<void(Batch&)>& change = {});

// All of them in memory.
FeatureTable extract_features(const ResNet& encoder, const Dataset& dataset, const FeatureOptions& options,
                              std::vector<BadImage>* bad_images = nullptr);

}  // namespace kindred
