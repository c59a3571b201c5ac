// Batches of views that are drawn but not rendered, for data sets whose pictures all lie on the GPU
// (resident_views.h). Order, draws, labels and the share of a process are the same as the loader's (loader.h), but no
// pixels are decoded or copied. Of several processes each has all pictures on its GPU.
#pragma once

#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/resident_views.h>

#include <optional>
#include <span>
#include <vector>

namespace kindred {

// All pictures of a data set, decoded: u8 [size, height, width, 3].
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

// Predicts, from the first picture, the size [height, width] that every picture would have. Returns nullopt if
// the first picture already shows that resident_pictures would.
std::optional<Shape> resident_size(const Dataset& dataset, const LoaderOptions& options,
                                   std::size_t most_bytes);

// Returns nullopt if the data set does not fit: its pictures differ in size or are too large, they take more
// than `most_bytes`, one of them cannot be read or is damaged (the loader's rules for that case are not
// repeated here), or the recipe has operations that the GPU does not support.
std::optional<ResidentPictures> resident_pictures(const Dataset& dataset, const LoaderOptions& options,
                                                  std::size_t most_bytes);

class ResidentBatches {
 public:
  // Every picture has this height and width.
  ResidentBatches(const Dataset& dataset, LoaderOptions options, int height, int width);

  std::int64_t batches_per_epoch() const { return sampler_.epoch_size() / options_.batch_size; }
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch = 0);
  // Returns false at the end of the epoch. Only full batches are returned, and of these this process's rows.
  bool next(ResidentBatch& batch);

 private:
  Dataset dataset_;
  LoaderOptions options_;
  ViewGroup group_;
  int height_, width_;
  Sampler sampler_;
  std::vector<Draw> order_;
  std::uint32_t epoch_ = 0;
  std::int64_t done_ = 0;  // batches of this epoch already returned
};

}  // namespace kindred
