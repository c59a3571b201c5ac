// Arrays for NumPy: .npz, a zip archive whose members are arrays in the .npy format (sources: numpy.lib.format,
// PKWARE's APPNOTE). Members are stored without compression, as numpy.savez does.
//
//   member NAME.npy   "\x93NUMPY", version 1.0, u16 length,
//                     {'descr': '<f4', 'fortran_order': False, 'shape': ..},
//                     spaces up to a multiple of 64 bytes; then the elements, little-endian, row-major
//
// The writer streams: rows are appended batch by batch, and only the header of the array is written twice. The
// reader does not trust the file: it checks every length against the file before it allocates memory. The
// reader throws Error(file), the writer Error(io).
#pragma once

#include <kindred/data/files/byte_reader.h>
#include <kindred/engine/files/atomic_file.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// The type's code: '<f4' and so on. Texts are stored as in NumPy: UTF-32, padded with zeros to the length of
// the longest.
template <typename T>
inline constexpr const char* npy_type = nullptr;
template <>
inline constexpr const char* npy_type<float> = "<f4";
template <>
inline constexpr const char* npy_type<double> = "<f8";
template <>
inline constexpr const char* npy_type<std::int32_t> = "<i4";
template <>
inline constexpr const char* npy_type<std::int64_t> = "<i8";

class NpzWriter {
 public:
  explicit NpzWriter(const std::filesystem::path& path, FileOperations& files = system_files());
  ~NpzWriter();

  // Begins an array [rows, row_shape...]. It gets as many rows as are appended before the next array begins.
  template <typename T>
  void begin(const std::string& name, const std::vector<std::int64_t>& row_shape) {
    begin_array(name, npy_type<T>, sizeof(T), row_shape);
  }
  template <typename T>
  void append(std::span<const T> values) {
    append_bytes(npy_type<T>, values.data(), values.size_bytes());
  }

  // Writes a whole array. Its shape may also be [].
  template <typename T>
  void add(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values) {
    begin_array(name, npy_type<T>, sizeof(T), shape, true);
    append(values);
  }

  // Begins an array of texts, [rows], of at most `widest` characters each. Bytes that are not UTF-8 become
  // U+FFFD.
  void begin_texts(const std::string& name, std::size_t widest);
  void append_text(std::string_view text);

  void commit();  // the file exists only after this call (engine/files/atomic_file.h)

 private:
  struct Member {
    std::string name;
    std::uint64_t offset = 0;  // of its local header
    std::uint64_t bytes = 0;   // size of the .npy file
    std::uint32_t crc = 0;
  };
  void begin_array(const std::string& name, const std::string& type, std::size_t element_bytes,
                   const std::vector<std::int64_t>& shape, bool whole = false);
  void append_bytes(const char* type, const void* data, std::size_t bytes);
  void end_array();
  std::string npy_header(std::uint64_t rows) const;
  void put(const void* data, std::size_t bytes);

  AtomicFile file_;
  std::uint64_t position_ = 0;
  std::vector<Member> members_;
  // The array that is being written.
  bool open_ = false, whole_ = false;
  std::string type_;
  std::vector<std::int64_t> shape_;  // of a row, or of the whole array
  std::uint64_t row_bytes_ = 0, data_bytes_ = 0;
  std::uint32_t data_crc_ = 0;
  std::size_t widest_ = 0;
};

// The number of characters (code points) of a text, as append_text counts them.
std::size_t text_width(std::string_view text);

struct NpzEntry {
  std::string name;  // without ".npy"
  std::string type;  // "<f4"
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0, bytes = 0;  // of the elements, within the file
  std::uint64_t file_offset = 0;        // of the .npy file, over which the checksum runs
  std::uint32_t crc = 0;

  std::uint64_t numel() const;
};

class NpzFile {
 public:
  explicit NpzFile(const std::string& path);
  NpzFile(std::shared_ptr<const ByteReader> reader, std::string name);  // for example from memory

  const std::vector<NpzEntry>& entries() const { return entries_; }
  const NpzEntry& at(std::string_view name) const;  // throws Error(file) if there is none

  // Returns all elements and verifies the checksum. T must be the array's own type.
  template <typename T>
  std::vector<T> read(const NpzEntry& entry) const;
  std::vector<std::string> read_texts(const NpzEntry& entry) const;  // a '<U' array, converted to UTF-8

 private:
  void read_elements(const NpzEntry& entry, const char* type, void* target) const;
  std::string bytes_at(std::uint64_t offset, std::uint64_t count) const;
  void read_directory();
  NpzEntry read_member(std::string name, std::uint64_t local_offset, std::uint64_t bytes, std::uint32_t crc,
                       std::uint64_t end_of_data) const;

  std::shared_ptr<const ByteReader> reader_;
  std::string name_;
  std::vector<NpzEntry> entries_;
};

}  // namespace kindred
