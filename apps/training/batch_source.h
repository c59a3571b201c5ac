// The batches that a run trains on. Their pixels are made by the loader's workers on the host or, if the data
// set stays on a GPU, on that GPU.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/resident_batches.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

class BatchSource {
 public:
  // If `pictures` is given, it holds the whole set, and batches are drawn but not rendered
  // (resident_batches.h).
  BatchSource(const PretrainOptions& options, const Dataset& train,
              const std::optional<ResidentPictures>& pictures);

  std::int64_t batches_per_epoch() const { return loader_.batches_per_epoch(); }
  bool stays_on_gpu() const { return resident_.has_value(); }

  // Begins an epoch at batch `first_batch`.
  void start_epoch(std::uint32_t epoch, std::int64_t first_batch);
  // Draws the next batch. Returns false at the end of the epoch. The values below are valid until the next
  // call.
  bool next();
  // The argument of TrainingSteps::run: the views' pixels, or the instructions by which the GPU makes them.
  std::span<const std::uint8_t> bytes() const;
  const std::vector<std::int32_t>& labels() const;
  const std::vector<std::int64_t>& indices() const;

  std::vector<BadImage> bad_images() const { return loader_.bad_images(); }

 private:
  Loader loader_;
  Batch made_;
  std::optional<ResidentBatches> resident_;  // used instead of the loader
  ResidentBatch drawn_;
};

// Returns the training pictures if all of them can stay on the device for the whole run, and nullopt otherwise.
std::optional<ResidentPictures> pictures_for_gpu(const PretrainOptions& options, Device device,
                                                 const Dataset& train);

}  // namespace kindred
