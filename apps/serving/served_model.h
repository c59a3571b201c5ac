// The encoder, the classifier and the index that `serve` answers with.
#pragma once

#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/serving/image_result.h>
#include <kindred/apps/serving/neighbour_search.h>
#include <kindred/models/classifier_file.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

// To be used by one thread.
class ServedModel {
 public:
  // top: classes that are named. `search` may be empty.
  ServedModel(std::unique_ptr<FrozenEncoder> encoder, std::optional<Classifier> classifier,
              NeighbourSearch search, std::int64_t top);

  // pixels: [images, side, side, 3]. The same numbers as those of `classify` and `embed`. Throws Error(non_finite), OutOfMemory.
  std::vector<ImageResult> compute(std::span<const std::uint8_t> pixels, std::int64_t images) const;

  // Computes gray images, one and `batch`, so that the first requests do not wait for what is made once, and memory that is
  // missing is told before anybody asks.
  void warm_up(std::int64_t batch) const;

  const EncoderInfo& info() const { return encoder_->info; }
  bool has_classes() const { return classifier_.has_value(); }
  bool has_neighbours() const { return static_cast<bool>(search_); }

 private:
  std::unique_ptr<FrozenEncoder> encoder_;
  std::optional<Classifier> classifier_;
  NeighbourSearch search_;
  std::int64_t top_;
};

}  // namespace kindred
