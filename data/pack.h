// A pack: a data set in one file, made by pack_dataset, read through a memory map.
//
// All numbers are little-endian; hash is XXH3 (64 bits).
//
//   header   64 bytes   magic "\x89KPACK\r\n", u32 version (1), u32 0, u64 bytes of the file, u64 offset of the
//                       index, u64 bytes of the index, u64 hash of the index, u64 fingerprint of what the pack
//                       was made from, u64 hash of the 56 bytes before
//   records             one after the other: u64 hash of the data (seeded with the record's number), u32 bytes,
//                       u32 kind, then the data. Training images first, then those for evaluation
//   index               u32 classes, u32 splits (1: training; 2: evaluation too); table of class names; per
//   split:
//                       u64 samples, then for each i32 label, u64 offset of the data, u64 hash, u32 bytes,
//                       u32 kind; table of names
//   table               u64 ends[count], then the text
//
// A record is checked whenever it is read: one that differs from its hash is rejected by name and never trained
// on. A file that is cut, or whose header or index differs from its hash, is not opened at all: Error(data).
// While it is made the file has another magic ("\x89KPART\r\n"), so half a pack never looks whole.
#pragma once

#include <kindred/data/dataset.h>
#include <kindred/engine/atomic_file.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kindred {

enum class RecordKind : std::uint32_t {
  encoded = 0,  // an image file as it was, or re-encoded
  pixels = 1,   // u32 height, u32 width, then [height, width, 3] RGB: of sets that hold pixels (CIFAR)
  missing = 2,  // the file could not be read when the pack was made; the data says why
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
  std::vector<PackSplit> splits;  // training, then perhaps evaluation
  std::uint64_t fingerprint = 0;
};

// Header and index of a pack; every record lies within the file. Error(data), naming `path`.
PackContents parse_pack(std::span<const std::uint8_t> file, const std::string& path);

// The hash that record `number` (counted over both splits) must have.
std::uint64_t record_hash(std::span<const std::uint8_t> data, std::uint64_t number);

// Whether the file begins as a pack does. A pack that was not finished is an Error(data).
bool is_pack(const std::string& path);

struct PackOptions {
  int max_side = 0;  // larger images are shrunk to this longer side and stored as JPEG; 0: every file as it is
  int quality = 90;  // of those
  bool overwrite = false;
};

struct PackSummary {
  std::int64_t images = 0;
  std::int64_t resumed = 0;  // of them: found in an unfinished pack
  std::int64_t shrunk = 0;
  std::uint64_t bytes = 0;           // of the file
  bool was_there = false;            // a complete pack of the same set was there already, and was left alone
  std::vector<std::string> missing;  // "name: reason" of files that could not be read
};

// Packs both splits into `out`. Goes on where an earlier call with the same arguments was stopped: what is
// packed stands in out + ".partial". Error(usage) when `out` holds anything else and overwrite is not set;
// Error(io) when writing fails, which leaves the partial file to go on from and `out` as it was. `progress` is
// told how many images are done.
PackSummary write_pack(const Dataset& train, const std::optional<Dataset>& evaluation,
                       const std::string& prefix, const std::string& out, const PackOptions& options,
                       const std::function<void(std::int64_t done)>& progress = {},
                       FileOperations& files = system_files());

}  // namespace kindred
