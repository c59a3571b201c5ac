// Images with their features: what map_embedding, similar, serve and report work on.
#pragma once

#include <kindred/data/images/image.h>
#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kindred {

struct BadImage;       // data/loading/sample_reader.h
struct FrozenEncoder;  // apps/evaluation/encoder_flags.h

struct ImageTable {
  std::int64_t dim = 0;
  std::vector<float> features{};     // [rows, dim], finite
  std::vector<std::string> paths{};  // [rows]: what each image is called
  // [rows]: index into `classes`, -1 for an image without a class; empty: none has one
  std::vector<std::int32_t> labels{};
  std::vector<std::string> classes{};
  std::vector<std::int32_t> parts_of{};   // [rows]: index into `parts`
  std::vector<std::string> parts{"all"};  // "train", "val" ... of a set
  std::vector<Image> thumbnails{};        // [rows]; empty: none were asked for. A single one may be empty too

  std::int64_t rows() const { return static_cast<std::int64_t>(paths.size()); }
  bool has_classes() const { return !labels.empty(); }
  std::span<const float> row(std::int64_t r) const {
    return std::span(features).subspan(static_cast<std::size_t>(r * dim), static_cast<std::size_t>(dim));
  }
  // The rows with these indices, in this order.
  ImageTable selected(const std::vector<std::int64_t>& rows) const;
};

// A file of embed: "features", "paths", and if they are there "labels" and "classes"; label -1 stands for no class. Throws
// Error(file), which names what is missing, of another length or type; and Error(data) if it has no rows, or a value is not
// finite: the line says of which image.
ImageTable read_image_table(const std::string& path);

struct TableOptions {
  int thumbnail_side = 0;            // of the longer side, in pixels; 0: no thumbnails
  std::int64_t most_thumbnails = 0;  // evenly spread over the images; 0: all
  std::string what = "embedding";    // shown with the progress
  std::string stopped = "nothing was written; the same command begins anew";  // what a signal's line says
};

// The features of a set's images, one part after the other, computed by the encoder without augmentation. The thumbnails are what
// the network sees. Images that cannot be read have no row, and are listed in `bad` if it is given. Ends with
// Error(interrupted) after a signal. Throws Error(data) if no image can be read, and Error(non_finite).
ImageTable embed_images(const std::vector<Dataset>& parts, FrozenEncoder& frozen, const TableOptions& options,
                        std::vector<BadImage>* bad = nullptr);

}  // namespace kindred
