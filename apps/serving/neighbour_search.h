// The index that `serve --index` finds neighbours in. This is the only file of the room that knows how an index is searched.
#pragma once

#include <kindred/apps/serving/image_result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kindred {

class SimilarityIndex;  // apps/similarity/similarity_index.h
struct EncoderFlags;    // apps/evaluation/encoder_flags.h
struct FrozenEncoder;

// features: [images, dim], of any length, finite. Returns the neighbours of each, the nearest first. Throws Error.
using NeighbourSearch = std::function<std::vector<std::vector<FoundNeighbour>>(std::span<const float> features,
                                                                               std::int64_t images)>;

class NeighbourIndex {
 public:
  // Throws Error(file) if there is no index, or a damaged one, and Error(usage) in a build without FAISS.
  explicit NeighbourIndex(const std::string& folder);

  // Without --encoder and --weights the flags get the encoder of the index. Throws Error(file) if it is not there any more.
  void give_encoder_to(EncoderFlags& flags) const;
  // Prepares images as those of the index were. Throws Error(file) for another encoder, and Error(usage) if the flags ask for
  // another preparation.
  std::unique_ptr<FrozenEncoder> load_encoder(const EncoderFlags& flags) const;

  std::int64_t images() const;
  // Each image gets at most `each` neighbours.
  NeighbourSearch search(std::int64_t each) const;

 private:
  std::shared_ptr<const SimilarityIndex> index_;
};

}  // namespace kindred
