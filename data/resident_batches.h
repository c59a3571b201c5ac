// Batches of views that are drawn but not made: for data sets whose pictures all lie on the GPU
// (resident_views.h). The same order, draws and labels as the loader's (loader.h), without decoding, workers or
// copies of pixels.
#pragma once

#include <kindred/data/loader.h>
#include <kindred/data/resident_views.h>

#include <optional>
#include <span>
#include <vector>

namespace kindred {

// Every picture of a data set, decoded: u8 [size, height, width, 3].
struct ResidentPictures {
  std::vector<std::uint8_t> bytes;
  int height = 0, width = 0;
};

struct ResidentBatch {
  std::vector<ResidentView> views;    // [views * rows], view-major
  std::vector<std::int32_t> labels;   // [rows]
  std::vector<std::int64_t> indices;  // [rows]

  std::span<const std::uint8_t> bytes() const {
    return {reinterpret_cast<const std::uint8_t*>(views.data()), views.size() * sizeof(ResidentView)};
  }
};

// What the first picture says of that: the size [height, width] of every picture, if all are like it; or
// nothing, as below.
std::optional<Shape> resident_size(const Dataset& dataset, const LoaderOptions& options,
                                   std::size_t most_bytes);

// Nothing where the set is no fit: pictures of several sizes or too large, more than `most_bytes` of them, one
// that cannot be read or is damaged (the loader's rules for these are not repeated here), or a recipe with
// operations that are not made on the GPU.
std::optional<ResidentPictures> resident_pictures(const Dataset& dataset, const LoaderOptions& options,
                                                  std::size_t most_bytes);

class ResidentBatches {
 public:
  // `height`, `width`: of every picture.
  ResidentBatches(const Dataset& dataset, LoaderOptions options, int height, int width);

  std::int64_t batches_per_epoch() const { return sampler_.epoch_size() / options_.batch_size; }
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch = 0);
  // False at the end of the epoch. Full batches only.
  bool next(ResidentBatch& batch);

 private:
  Dataset dataset_;
  LoaderOptions options_;
  ViewGroup group_;
  int height_, width_;
  Sampler sampler_;
  std::vector<Draw> order_;
  std::uint32_t epoch_ = 0;
  std::int64_t done_ = 0;  // batches of the epoch
};

}  // namespace kindred
