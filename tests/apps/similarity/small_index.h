// Small indices of drawn features, for tests.
#pragma once

#include <kindred/apps/similarity/index_folder.h>
#include <kindred/apps/similarity/segment_writer.h>
#include <kindred/apps/similarity/similarity_index.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace kindred {

// [rows, dim], normally distributed, of unit length.
inline std::vector<float> drawn_unit_rows(std::int64_t rows, std::int64_t dim, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  for (std::size_t at = 0; at < values.size(); at += static_cast<std::size_t>(dim)) {
    const auto row = std::span(values).subspan(at, static_cast<std::size_t>(dim));
    double squares = 0;
    for (float& value : row) {
      value = normal(engine);
      squares += double(value) * value;
    }
    for (float& value : row) value = static_cast<float>(value / std::sqrt(squares));
  }
  return values;
}

inline IndexedEncoder some_encoder() {
  IndexedEncoder encoder{"0123456789abcdef", "/nowhere/encoder.safetensors", false, {}};
  encoder.info.model = "resnet20";
  encoder.info.stem = Stem::cifar;
  encoder.info.image_size = 32;
  encoder.info.pixels = cifar10_pixels;
  return encoder;
}

// Row `row` of the whole index. Every fifth image has no class.
inline IndexedImage drawn_image(std::int64_t row) {
  return {"set/train/" + std::to_string(row % 3) + "/" + std::to_string(row) + ".png",
          row % 5 == 4 ? "" : "class <" + std::to_string(row % 3) + ">", row % 2 == 0 ? "train" : "val"};
}

// What stands for a picture: the reader of a segment gives its bytes back.
inline std::vector<std::uint8_t> drawn_jpeg(std::int64_t row) {
  return std::vector<std::uint8_t>(static_cast<std::size_t>(row % 7), static_cast<std::uint8_t>(row));
}

// Writes a segment of these rows, of which the first is row `first` of the index.
inline IndexSegment write_segment(const std::filesystem::path& folder, int number, std::span<const float> rows,
                                  std::int64_t dim, std::int64_t first, bool with_thumbnails = true) {
  SegmentWriter segment(folder, number, dim, with_thumbnails);
  std::vector<IndexedImage> images;
  std::vector<std::vector<std::uint8_t>> jpegs;
  for (std::int64_t row = first; row < first + std::ssize(rows) / dim; ++row) {
    images.push_back(drawn_image(row));
    jpegs.push_back(drawn_jpeg(row));
  }
  segment.append(rows, images, jpegs);
  return segment.commit();
}

// A new index with segments of these sizes, one after the other, of `values` [sum, dim]; the first `arranged` segments as the
// factory says.
inline void write_small_index(const std::filesystem::path& path, std::span<const float> values,
                              std::int64_t dim, const std::vector<std::int64_t>& sizes,
                              const std::string& factory = flat_factory, std::size_t arranged = 1) {
  IndexFolder folder = IndexFolder::made(path);
  IndexContent content;
  content.dim = dim;
  content.encoder = some_encoder();
  content.factory = factory;
  std::int64_t first = 0;
  std::vector<std::shared_ptr<const OpenSegment>> open;
  for (const std::int64_t size : sizes) {
    content.segments.push_back(write_segment(
        path, folder.next_number(),
        values.subspan(static_cast<std::size_t>(first * dim), static_cast<std::size_t>(size * dim)), dim,
        first));
    first += size;
    if (open.size() < arranged)
      open.push_back(std::make_shared<const OpenSegment>(path, content.segments.back(), dim));
  }
  if (factory != flat_factory)
    content.arranged = arrange_rows(folder, factory, dim, open, folder.next_number());
  folder.commit(content);
}

// The plain definition of a search: all cosines in double, sorted; of equal ones the earlier row first.
inline FoundImages plainly_found(std::span<const float> bank, std::span<const float> query, std::int64_t each) {
  FoundImages all;
  for (std::size_t at = 0; at < bank.size(); at += query.size()) {
    double cosine = 0;
    for (std::size_t i = 0; i < query.size(); ++i) cosine += double(bank[at + i]) * double(query[i]);
    all.push_back({static_cast<std::int64_t>(at / query.size()), static_cast<float>(cosine)});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const FoundImage& a, const FoundImage& b) { return a.similarity > b.similarity; });
  all.resize(std::min(all.size(), static_cast<std::size_t>(each)));
  return all;
}

}  // namespace kindred
