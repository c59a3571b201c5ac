// The features of a data set, batch by batch, computed by a frozen encoder without augmentation.
#pragma once

#include <kindred/data/loading/loader.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/resnet.h>

#include <functional>
#include <vector>

namespace kindred {

// How images become what the encoder takes, and how many at a time.
struct FeatureInput {
  Device device = Device::cpu;
  DType precision = DType::f32;
  PixelStatistics pixels = imagenet_pixels;
  int image_size = 224;
  ResizeMode resize = ResizeMode::crop;
  int batch_size = 128;
  int workers = 0;  // threads that load images; 0: the calling thread does

  // Images are prepared as the encoder's file says.
  void prepare_as(const EncoderInfo& info) {
    pixels = info.pixels;
    image_size = static_cast<int>(info.image_size);
    resize = info.resize;
  }
};

// Calls visit(batch, features [rows, dim]) for one batch after the other, in the order of the set, until it returns
// false. Memory use does not grow with the set. Images that cannot be read are omitted (and listed in bad_images if
// given), because a replacement would falsify accuracies. If `change` is given, it changes the pixels of each batch
// before they are embedded. Nothing is recorded on a tape.
//
// Several processes, which must all make this call, share the work batch by batch. In each of them visit is called for all
// batches, in the order of the set, and bad_images lists those of all. So what visit collects is the same everywhere, and
// the same bits as with one process. There batch.images is empty, and the features are f32 on the host. If visit returns
// false in one process, all stop behind the same batch: at most size - 1 batches later, for which visit is still called.
void visit_features(const ResNet& encoder, const Dataset& dataset, const FeatureInput& input,
                    const std::function<bool(const Batch&, const Tensor& features)>& visit,
                    std::vector<BadImage>* bad_images = nullptr, const std::function<void(Batch&)>& change = {},
                    const Communicator& processes = {});

}  // namespace kindred
