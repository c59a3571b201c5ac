// The images that an index has already, so that adding to it takes none twice.
#pragma once

#include <kindred/apps/similarity/open_segment.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kindred {

class KnownImages {
 public:
  KnownImages() = default;  // of a new index: none
  // Reads the paths of all rows. Throws Error(file) for a damaged table.
  // A signal ends it with `stopped` (end_if_interrupted): an index may have a hundred million rows.
  KnownImages(std::vector<std::shared_ptr<const OpenSegment>> segments, const std::string& stopped);

  // Takes the images out that the index has. It has an image if a row has its path, and all but the same features. Relative paths
  // are taken as of the folder in which the program runs; that the index may have been made elsewhere does no harm, because
  // of the features. rows: [images, dim], of unit length. jpegs: [images], or empty.
  void remove_known(std::vector<float>& rows, std::vector<IndexedImage>& images,
                    std::vector<std::vector<std::uint8_t>>& jpegs);

  std::int64_t removed() const { return removed_; }
  const std::string& example() const { return example_; }  // the path of the first that was removed
  // Images whose path is in the index with other features, so that they have changed, or are others. They are not removed.
  std::int64_t changed() const { return changed_; }

  // Cosines above this are the same image: one that was computed in another batch, or on another device.
  static constexpr double least_same_cosine = 0.9999;

 private:
  struct KnownRow {
    std::uint64_t path = 0;  // its hash
    std::int32_t segment = 0, row = 0;
    bool operator<(const KnownRow& other) const { return path < other.path; }
  };
  std::uint64_t hash_of(const std::string& path) const;
  bool has(const IndexedImage& image, std::span<const float> values);

  std::vector<std::shared_ptr<const OpenSegment>> segments_{};
  std::filesystem::path here_{};
  std::vector<KnownRow> rows_{};  // sorted
  std::int64_t removed_ = 0, changed_ = 0;
  std::string example_{};
};

}  // namespace kindred
