// A segment of an index, mapped for reading.
#pragma once

#include <kindred/apps/similarity/index_file.h>
#include <kindred/data/files/mapped_bytes.h>
#include <kindred/data/images/image.h>
#include <kindred/data/npz/npy_file.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// What a row says about its image.
struct IndexedImage {
  std::string path{};        // as the data set called it
  std::string class_name{};  // empty: it has none
  std::string part = "all";  // "train", "val" ...
};

// Appends a line of rows-000.jsonl, without its end. Bytes of names that are not UTF-8 become U+FFFD.
void append_line_of(const IndexedImage& image, std::string& lines);

class OpenSegment {
 public:
  // Throws Error(file) if a file is missing, has another length than `segment` says, or its bytes another checksum. Of
  // features above `most_checked` and of thumbnails the bytes are not read (check_all()).
  OpenSegment(const std::filesystem::path& folder, const IndexSegment& segment, std::int64_t dim,
              std::uint64_t most_checked = std::uint64_t{256} << 20);

  std::int64_t rows() const { return segment_.rows; }
  std::span<const float> features() const { return features_.values(); }  // [rows, dim], rows of unit length
  std::string_view line(std::int64_t row) const;
  IndexedImage image(std::int64_t row) const;  // throws Error(file)
  bool has_pictures() const { return thumbnails_.has_value(); }
  std::span<const std::uint8_t> jpeg(std::int64_t row) const;  // empty: there is none
  Image picture(std::int64_t row) const;                       // empty if there is none, or it is damaged

  // Reads everything. Throws Error(file), which names the file that differs from its checksum.
  void check_all() const;

 private:
  [[noreturn]] void damaged(const IndexedFile& file, const std::string& what) const;
  void check_bytes(const IndexedFile& file, const void* data, std::size_t bytes) const;

  std::filesystem::path folder_;
  IndexSegment segment_;
  std::string advice_;
  MappedNpy features_;
  MappedBytes lines_;
  std::optional<MappedBytes> thumbnails_;
  std::vector<std::size_t> line_ends_;  // [rows]: of the line feed
};

}  // namespace kindred
