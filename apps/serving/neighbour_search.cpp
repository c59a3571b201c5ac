#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/serving/neighbour_search.h>
#include <kindred/apps/similarity/index_encoder.h>
#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/faiss/faiss.h>

#include <cstddef>

namespace kindred {
namespace {

// Of a row of the whole index; "" if it has no picture.
std::string thumbnail_uri(const SimilarityIndex& index, std::int64_t row) {
  for (const auto& segment : index.segments()) {
    if (row >= segment->rows()) {
      row -= segment->rows();
      continue;
    }
    const auto jpeg = segment->jpeg(row);
    if (jpeg.empty()) return "";
    return "data:image/jpeg;base64," + base64({reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
  }
  return "";
}

}  // namespace

NeighbourIndex::NeighbourIndex(const std::string& folder)
    : index_(std::make_shared<const SimilarityIndex>(SimilarityIndex::open(folder))) {
  // Told now, and not to the first client.
  check(third_party::has_faiss(), ExitCode::usage,
        "--index {}: this build has no FAISS, which finds neighbours: install libfaiss-dev and build Kindred "
        "again",
        folder);
}

void NeighbourIndex::give_encoder_to(EncoderFlags& flags) const {
  take_encoder_of_index(index_->folder(), index_->content(), flags);
}

std::unique_ptr<FrozenEncoder> NeighbourIndex::load_encoder(const EncoderFlags& flags) const {
  return load_encoder_of_index(index_->folder(), index_->content(), flags);
}

std::int64_t NeighbourIndex::images() const {
  return index_->rows();
}

NeighbourSearch NeighbourIndex::search(std::int64_t each) const {
  return [index = index_, each](std::span<const float> features, std::int64_t images) {
    std::vector<std::vector<FoundNeighbour>> neighbours(static_cast<std::size_t>(images));
    const std::vector<FoundImages> found = index->search(unit_rows(features, index->dim()), each);
    for (std::size_t i = 0; i < found.size(); ++i)
      for (const FoundImage& one : found[i]) {
        IndexedImage image = index->image(one.row);
        neighbours[i].push_back({std::move(image.path), std::move(image.class_name), one.similarity,
                                 thumbnail_uri(*index, one.row)});
      }
    return neighbours;
  };
}

}  // namespace kindred
