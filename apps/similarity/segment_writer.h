// Writes a new segment of an index, row by row. Its files appear when it is complete, and count when index.json names them.
#pragma once

#include <kindred/apps/similarity/checksum.h>
#include <kindred/apps/similarity/open_segment.h>
#include <kindred/data/npz/npy_file.h>
#include <kindred/engine/files/atomic_file.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

class SegmentWriter {
 public:
  // `number` is in the names of its files, and no other segment's. Throws Error(io), as the others here.
  SegmentWriter(const std::filesystem::path& folder, int number, std::int64_t dim, bool with_thumbnails);

  std::int64_t rows() const { return features_.rows(); }

  // A row for each image. rows: [images, dim], of unit length. jpegs: [images], or empty if there are none.
  void append(std::span<const float> rows, std::span<const IndexedImage> images,
              std::span<const std::vector<std::uint8_t>> jpegs);
  // All rows of a segment.
  void append(const OpenSegment& segment);

  IndexSegment commit();

 private:
  struct Summed {  // a file and its checksum
    explicit Summed(const std::filesystem::path& path);
    void write(const void* data, std::size_t size);
    IndexedFile commit(const std::string& name);

    AtomicFile file;
    Checksum checksum{};
    std::uint64_t bytes = 0;
  };
  // The system copies what is written, on one core; another one computes the checksum meanwhile, and does what is `beside` it.
  void append_features(std::span<const float> rows, const std::function<void()>& beside);
  void append_line(std::string_view line);
  void append_jpeg(std::span<const std::uint8_t> jpeg);

  int number_;
  NpyWriter features_;
  Checksum feature_checksum_{};
  Summed lines_;
  std::unique_ptr<Summed> thumbnails_;
  std::vector<std::uint64_t> ends_{};  // [rows]
};

}  // namespace kindred
