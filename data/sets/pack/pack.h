// A pack: a data set in one file, made by pack_dataset, read through a memory map.
//
// All numbers are little-endian; hash is XXH3 (64 bits).
//
//   header   64 bytes   magic "\x89KPACK\r\n", u32 version (1 or 2), u32 0, u64 bytes of the file, u64 offset of the
//                       index, u64 bytes of the index, u64 hash of the index, u64 fingerprint of what the pack
//                       was made from, u64 hash of the 56 bytes before
//   records             one after the other: u64 hash of the data (seeded with the record's number), u32 bytes,
//                       u32 kind, then the data. Training images first, then those for validation, then
//                       those for tests
//   index               u32 classes, u32 splits (1: training; 2: validation too; 3: tests too, and the split for
//                       validation may be empty); table of class names; then for each split: u64 samples; for
//                       each sample i32 label, u64 offset of the data, u64 hash, u32 bytes, u32 kind; table of
//                       names. At the end, in version 2 alone: f64 and u64, the share and the seed by which the
//                       images for validation were held out of those for training (Origin::held_out); before
//                       them such pairs for HeldOutShare::before
//   table               u64 ends[count], then the text
//
// A record is checked every time it is read. If it does not match its hash, it is rejected by name and never
// used for training. A file that is truncated, or whose header or index does not match its hash, is not opened
// at all: Error(data). While the file is being written it has another magic number ("\x89KPART\r\n"), so an
// incomplete pack is never taken for a complete one.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/engine/files/atomic_file.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kindred {

enum class RecordKind : std::uint32_t {
  encoded = 0,  // an image file, unchanged or re-encoded
  pixels = 1,   // u32 height, u32 width, then [height, width, 3] RGB: for sets that hold pixels (CIFAR)
  missing = 2,  // the file could not be read when the pack was made; the data is the reason
};

struct PackRecord {
  std::int32_t label = 0;
  std::uint64_t offset = 0, hash = 0;
  std::uint32_t bytes = 0;
  RecordKind kind = RecordKind::encoded;
};

struct PackSplit {
  std::vector<PackRecord> records;
  std::vector<std::string> names;
};

struct PackContents {
  std::vector<std::string> class_names;
  std::vector<PackSplit> splits;  // training, validation and tests; without those at the end that the set lacks
  std::uint64_t fingerprint = 0;
  std::optional<HeldOutShare> held_out{};
};

// Parses header and index of a pack. Every record lies within the file. Throws Error(data), which names `path`.
PackContents parse_pack(std::span<const std::uint8_t> file, const std::string& path);

// The expected hash of record `number` (counted over all splits).
std::uint64_t record_hash(std::span<const std::uint8_t> data, std::uint64_t number);

// Returns true if the file begins like a pack. Throws Error(data) if the pack is incomplete.
bool is_pack(const std::string& path);

struct PackOptions {
  int max_side = 0;  // larger images are shrunk to this longer side and stored as JPEG; 0: none are
  int quality = 90;  // of those JPEG files
  bool overwrite = false;
};

struct PackSummary {
  std::int64_t images = 0;
  std::int64_t resumed = 0;  // how many of them were found in an unfinished pack
  std::int64_t shrunk = 0;
  // How many of the shrunk images have an EXIF orientation that is not upright. If the set applies it, they are stored
  // upright; if not, as they lie, and the orientation is lost.
  std::int64_t oriented = 0;
  std::uint64_t bytes = 0;           // size of the file
  bool was_there = false;            // a complete pack of the same set existed already and was left unchanged
  std::vector<std::string> missing;  // "name: reason" of files that could not be read
};

// The sets that a pack is made of. They have the same classes. Images for validation may be held out of train; if the
// origin of train says so, the pack does too.
struct PackSets {
  const Dataset& train;
  const std::optional<Dataset>& validation;
  const std::optional<Dataset>& test;
};

// Packs the splits into `out`. If an earlier call with the same arguments was interrupted, it continues from
// out + ".partial". Throws Error(usage) if `out` holds anything else and overwrite is not set. Throws Error(io)
// if writing fails; the partial file then stays, so that a later call can continue, and `out` is unchanged.
// `progress` receives the number of images done, after every few. It may throw to stop; then a later call
// continues from there.
PackSummary write_pack(const PackSets& sets, const std::string& prefix, const std::string& out,
                       const PackOptions& options, const std::function<void(std::int64_t done)>& progress = {},
                       FileOperations& files = system_files());

// The same with at most one split besides train: it is for tests if its origin says so, and else for validation.
PackSummary write_pack(const Dataset& train, const std::optional<Dataset>& evaluation,
                       const std::string& prefix, const std::string& out, const PackOptions& options,
                       const std::function<void(std::int64_t done)>& progress = {},
                       FileOperations& files = system_files());

}  // namespace kindred
