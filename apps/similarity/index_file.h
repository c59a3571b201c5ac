// index.json, which says what an index of images is made of. An index is a folder:
//
//   index.json           the only file that changes; it is replaced in one step, and what it does not name does not count
//   features-000.npy     a segment: f32 [rows, dim], rows of unit length (data/npz/npy_file.h)
//   rows-000.jsonl       a line for each row: {"class": "cat", "part": "train", "path": "set/train/cat/17.jpg"};
//                        without "class" where the images have none
//   thumbnails-000.bin   pictures as JPEG, one behind the other, then u64 ends[rows], little-endian: where each ends in the
//                        file. A row without a picture has an empty one. The file may be missing
//   search-000.faiss     of an index that is not searched row by row: the first rows as FAISS arranged them
//
// Rows are numbered through the segments in their order.
#pragma once

#include <kindred/models/encoder_file.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

inline constexpr const char *index_file_name = "index.json", *index_format = "kindred index";  // "format" in it
inline constexpr int index_version = 1;
inline constexpr const char* flat_factory = "Flat";
inline constexpr std::size_t most_segments = 10'000;
inline constexpr int most_file_number = 1'000'000'000;  // in the names of files
inline constexpr std::int64_t most_indexed_rows = 2'147'483'647;  // rows are numbered in 32 bits

// A file of the index. `xxh3` (apps/similarity/checksum.h) is of all its bytes; of features it is of the elements alone,
// because the header follows from the shape.
struct IndexedFile {
  std::string name{};
  std::uint64_t bytes = 0;
  std::string xxh3{};
};

struct IndexSegment {
  std::int64_t rows = 0;
  IndexedFile features{}, rows_file{};
  std::optional<IndexedFile> thumbnails{};
};

// What the features were computed by. Those of another encoder cannot be compared with them.
struct IndexedEncoder {
  std::string xxh3{};       // encoder_checksum(), models/classifier_file.h
  std::string path{};       // where its file was, absolute
  bool is_foreign = false;  // it was given by --weights
  EncoderInfo info{};       // how images were prepared
};

struct ArrangedRows {
  std::int64_t rows = 0;  // of the first segments
  IndexedFile file{};
};

struct IndexContent {
  bool is_complete = true;  // false: only its place is taken, by a program that is writing it or was killed
  std::int64_t dim = 0;
  IndexedEncoder encoder{};
  std::string factory = flat_factory;  // FAISS's name for how rows are searched
  std::vector<IndexSegment> segments{};
  std::optional<ArrangedRows> arranged{};  // not with flat_factory

  std::int64_t rows() const {
    std::int64_t all = 0;
    for (const IndexSegment& segment : segments) all += segment.rows;
    return all;
  }
};

// Whether the folder has an index.json that says it is of an index, whole or not.
bool is_index(const std::filesystem::path& folder);
// Whether it says that it is not complete.
bool is_begun_index(const std::filesystem::path& folder);

// The bytes of index.json. Throws Error(file), which says what to give, if there is none.
std::string index_text(const std::filesystem::path& folder);

// Everything in it was checked but the files that it names: names are those of an index, sizes fit the shapes, numbers are
// within bounds. Throws Error(file); also for an index that is not complete.
IndexContent parse_index(const std::filesystem::path& folder, const std::string& text);
IndexContent read_index(const std::filesystem::path& folder);

// What the lines of errors about a damaged file end in.
std::string advice_for_damaged_index(const std::filesystem::path& folder);

// Replaces index.json in one step. Throws Error(io).
void write_index(const std::filesystem::path& folder, const IndexContent& content);

// For a file that a program is to write, by this flag. Throws Error(usage) if it would lie in the folder of an index. An empty
// name is accepted.
void check_not_in_index(const char* flag, const std::string& file);
// Throws Error(usage) for the name of a file that does not end as it should: a picture that was typed by mistake would become a
// page. An empty name is accepted.
void check_ending(const char* flag, const std::string& file, const char* ending);

// Names of files of an index: "features-000.npy".
enum class IndexedKind : std::uint8_t { features, rows, thumbnails, arranged };
std::string indexed_name(IndexedKind kind, int number);
// The number in such a name; nullopt for every other name.
std::optional<int> number_in_name(const std::string& name);
// The names of all files that the content names.
std::vector<std::string> names_in_index(const IndexContent& content);

}  // namespace kindred
