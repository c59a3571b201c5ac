// A map of an embedding: a place in the plane for each image, so that similar images lie together.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kindred {

enum class MapMethod : std::uint8_t { t_sne, pca };

// What takes long, with how much of it is done.
enum class MapStage : std::uint8_t { neighbours, places };

struct MapOptions {
  MapMethod method = MapMethod::t_sne;
  double perplexity = 30;  // of t-SNE: about how many neighbours count, above 1; lowered for few images
  std::int64_t iterations = 750;
  std::uint64_t seed = 0;
  std::int64_t fewest_on_grid = 4000;  // TSneOptions
  // It may throw, for example after a signal.
  std::function<void(MapStage stage, std::int64_t done, std::int64_t total)> progress{};
};

struct EmbeddingMap {
  std::vector<float> xy{};  // [rows, 2], around 0
  double perplexity = 0;    // that was used, of t-SNE
  double divergence = 0;    // TSneMap
  double shares[2] = {};    // of PCA: of the whole variance, in each of the two directions
};

// t-SNE needs 4 images, of which each has three neighbours; PCA needs 2.
inline constexpr std::int64_t fewest_for_t_sne = 4, fewest_for_pca = 2;

// features [rows, dim], finite. The map is of the cosines between features, as everything that Kindred does with features is: the
// rows get unit length, and the squared distance of two then is 2 - 2 cos. For t-SNE more than 50 dimensions are reduced to the 50
// that hold most of the rows (principal_components about the origin, which keeps cosines), and get unit length again. Neighbours
// are 3 * perplexity, found exactly. It begins with the first two principal components of the rows, made small, as Kobak and
// Berens (2019, "The art of using t-SNE for single-cell transcriptomics") advise, and with a noise of a hundredth of that,
// without which equal images could not move apart. So the seed changes little.
//
// The same places each time, for any number of threads. Throws Error(data) for too few rows or too many dimensions, and
// Error(usage) in a build without FAISS, or without FFTW if there are many rows.
EmbeddingMap map_embedding(std::span<const float> features, std::int64_t dim, const MapOptions& options);

}  // namespace kindred
