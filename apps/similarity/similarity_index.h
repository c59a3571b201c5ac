// An index of images, opened for search (its files: index_file.h). It stays what it was when it was opened, whatever is added to
// the folder meanwhile.
//
//   const SimilarityIndex index = SimilarityIndex::open("INDEX");
//   for (const FoundImages& found : index.search(queries, 10))
//     for (const FoundImage& each : found)
//       print(each.similarity, index.image(each.row).path);
#pragma once

#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/similarity/arranged_rows.h>
#include <kindred/apps/similarity/open_segment.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace kindred {

struct FoundImage {
  std::int64_t row = 0;
  float similarity = 0;  // cosine, -1 to 1
};
using FoundImages = std::vector<FoundImage>;  // of a query, the nearest first; of equal ones the earlier row

class SimilarityIndex {
 public:
  // Throws Error(file) if it is no index, half written, damaged or of another version. Bytes of large files are compared with
  // their checksums by check_all() alone; lengths always. Throws Error(usage) if it needs FAISS and this build has none.
  static SimilarityIndex open(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  const IndexContent& content() const { return content_; }
  std::int64_t rows() const { return content_.rows(); }
  std::int64_t dim() const { return content_.dim; }
  const std::vector<std::shared_ptr<const OpenSegment>>& segments() const { return segments_; }

  IndexedImage image(std::int64_t row) const;  // throws Error(file)
  Image picture(std::int64_t row) const;       // its thumbnail; empty if there is none

  // How far searches look in rows that are not compared one by one (faiss.h). Throws Error(usage) if it is of no use for this
  // index. Not while another thread searches.
  void set_effort(const third_party::SearchEffort& effort);
  bool is_flat() const { return !arranged_; }

  // queries: [n, dim], rows of unit length. Returns for each at most `each` images, in an index of fewer all of them. The
  // similarities are exact; an index that is not flat may miss some of the nearest. Thread-safe. Throws Error(usage) in a
  // build without FAISS, and Error(file) if the features are damaged.
  std::vector<FoundImages> search(std::span<const float> queries, std::int64_t each) const;

  // Reads every byte and compares the checksums. Throws Error(file), which names the damaged file.
  void check_all() const;

 private:
  SimilarityIndex(std::filesystem::path folder, IndexContent content);
  std::pair<const OpenSegment*, std::int64_t> find(std::int64_t row) const;
  std::span<const float> row(std::int64_t row) const;
  Neighbours nearest_in(const OpenSegment& bank, std::span<const float> queries, std::int64_t each) const;
  void search_segment(std::size_t segment, std::span<const float> queries, std::int64_t each,
                      std::vector<FoundImages>& found) const;
  void search_arranged(std::span<const float> queries, std::int64_t each,
                       std::vector<FoundImages>& found) const;

  std::filesystem::path folder_;
  IndexContent content_;
  std::vector<std::shared_ptr<const OpenSegment>> segments_{};
  std::vector<std::int64_t> first_rows_{};  // [segments]
  std::shared_ptr<third_party::VectorIndex> arranged_{};
};

}  // namespace kindred
