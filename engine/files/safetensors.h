// Weights and checkpoints in the safetensors format (https://github.com/huggingface/safetensors), which every
// framework can read without executing code from the file:
//
//   u64, little-endian   the length of the header
//   header               JSON: {"__metadata__": {text: text},
//                               name: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
//   data                 the elements of all tensors, little-endian, without gaps; offsets count from its start
//
// Files are not trusted. Opening a file checks everything that can be checked without reading the data, and
// keeps only the header in memory; a tensor is read when it is requested. Every error is an Error(file), one
// line that names the file.
#pragma once

#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;                // the format's name: "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;  // any rank; [] is a scalar
  std::uint64_t begin = 0;          // in bytes, from the start of the data
  std::uint64_t end = 0;

  std::int64_t numel() const;
};

// Bytes of one element; 0 if the format has no type of that name.
std::size_t safetensors_element_bytes(std::string_view dtype);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) = delete;

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }  // in the order of their data
  const SafetensorsEntry* find(const std::string& name) const;               // null if there is none
  const SafetensorsEntry& at(const std::string& name) const;                 // throws Error(file) if none

  // Returns all elements, converted to T: float or double (from F64, F32, F16, BF16 and the integer types),
  // std::int32_t or std::int64_t (from integers that fit).
  template <typename T>
  std::vector<T> read(const SafetensorsEntry& entry) const;

  // Reads the elements into `target`, which must have the entry's shape. Converts them to its type (f32, f64,
  // bf16, i32).
  void read_into(const SafetensorsEntry& entry, Tensor& target) const;

  // Reads the whole file and returns false if a byte changed since it was written. Throws Error(file) if the
  // file was written without a checksum.
  bool checksum_matches() const;
  bool has_checksum() const;

 private:
  std::string path_;
  int file_ = -1;
  std::uint64_t data_begin_ = 0, data_end_ = 0;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

// Collects tensors and writes them. Tensors are held by handle: nothing is copied before it is written, one
// tensor at a time. The bytes of the file depend only on the names, metadata and values, not on the order of
// the calls.
class SafetensorsWriter {
 public:
  void set_metadata(const std::string& key, const std::string& text) { metadata_[key] = text; }

  // The tensor may be f32, f64, bf16, f16, i32 or u8, on any device. It is written in its own shape.
  void add(const std::string& name, const Tensor& tensor);
  // `make` creates the tensor when it is written, and it is dropped right after. For layouts that differ from
  // the one in memory.
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> shape, std::function<Tensor()> make);
  // Adds I64 values, which the engine's tensors do not have: counters such as num_batches_tracked.
  void add_i64(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::int64_t> values);

  // Adds a checksum over header and data to the metadata ("xxh3"). Every `make` is then called twice.
  void add_checksum() { checksum_ = true; }

  // Replaces the file at `path` in one step (engine/files/atomic_file.h). Throws Error(io).
  void write(const std::filesystem::path& path, FileOperations& files = system_files()) const;

 private:
  struct Item {
    std::string name;
    const char* dtype;
    std::vector<std::int64_t> shape;
    std::function<Tensor()> make;
    std::vector<std::int64_t> integers;  // used if `make` is empty
  };
  void add_item(Item item);
  std::string header_of(const std::vector<const Item*>& items, const std::string& checksum) const;

  bool checksum_ = false;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Item> items_;
};

}  // namespace kindred
