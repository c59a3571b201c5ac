// Features of images as TensorBoard's projector takes them: it draws them as a cloud of points by PCA, t-SNE or UMAP.
//
//   projector_config.pbtxt    names the others; TensorBoard looks for this name beside files of events
//   projector_features.tsv    a line for each image, with its features
//   projector_metadata.tsv    a header, and a line for each image: its class and its path
//   projector_sprite.jpg      its thumbnails, row by row in a square
//
// Text, and not f32 as bytes: TensorBoard 2.18 tells the two apart by whether the bytes are UTF-8, which those of a table of
// zeros are. And the projector's own page on the web loads these tables too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct ProjectorImages {
  std::int64_t dim = 0;
  std::vector<float> features{};       // [rows, dim]
  std::vector<std::string> classes{};  // [rows]
  std::vector<std::string> paths{};    // [rows]
  // A JPEG of ceil(sqrt(rows)) squares of thumbnail_side pixels in each row. Empty: there are none.
  std::string sprite{};
  int thumbnail_side = 0;
};

bool is_projector_file_name(const std::string& name);

// Writes the four files, the config last and the former one removed first, so that a process that is killed here leaves none
// that names files of two lengths. The features get the name "features after epoch N". Makes the folder. Links are replaced, and
// what they point to stays. There must be an image, and of each of its parts a row. Throws Error(io), and Error(non_finite) if a
// feature is not finite, before anything is written.
void write_projector_files(const std::filesystem::path& folder, const ProjectorImages& images,
                           std::int64_t epoch);

}  // namespace kindred
