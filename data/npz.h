// Arrays for NumPy: .npz, a zip archive with an array in .npy's format in each member
// (numpy.lib.format; PKWARE's APPNOTE for the archive). Members are stored, not compressed, as numpy.savez
// does.
//
//   member NAME.npy:  "\x93NUMPY", version 1.0, u16 length, {'descr': '<f4', 'fortran_order': False, 'shape':
//   ..},
//                     spaces up to a multiple of 64 bytes; then the elements, little-endian, row by row
//
// The writer streams: rows are appended one batch after the other, and only the header of the array is written
// twice. The reader trusts nothing: every length is checked against the file before memory is taken for it.
// Complaints are Error(file), those of the writer Error(io).
#pragma once

#include <kindred/data/byte_reader.h>
#include <kindred/engine/atomic_file.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// '<f4' and so on. Texts are NumPy's: UTF-32, all as wide as the widest, filled up with zeros.
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

  // An array [rows, row_shape...] of as many rows as are appended before the next array begins.
  template <typename T>
  void begin(const std::string& name, const std::vector<std::int64_t>& row_shape) {
    begin_array(name, npy_type<T>, sizeof(T), row_shape);
  }
  template <typename T>
  void append(std::span<const T> values) {
    append_bytes(npy_type<T>, values.data(), values.size_bytes());
  }

  // A whole array; its shape may be [] too.
  template <typename T>
  void add(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const T> values) {
    begin_array(name, npy_type<T>, sizeof(T), shape, true);
    append(values);
  }

  // Texts [rows] of at most `widest` characters. Bytes that are no UTF-8 become U+FFFD.
  void begin_texts(const std::string& name, std::size_t widest);
  void append_text(std::string_view text);

  void commit();  // nothing is there before it (engine/atomic_file.h)

 private:
  struct Member {
    std::string name;
    std::uint64_t offset = 0;  // of its local header
    std::uint64_t bytes = 0;   // the .npy file
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
  std::vector<std::int64_t> shape_;  // of a row, or of the whole
  std::uint64_t row_bytes_ = 0, data_bytes_ = 0;
  std::uint32_t data_crc_ = 0;
  std::size_t widest_ = 0;
};

// Characters (code points) of a text as append_text counts them.
std::size_t text_width(std::string_view text);

struct NpzEntry {
  std::string name;  // without ".npy"
  std::string type;  // "<f4"
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0, bytes = 0;  // of the elements, in the file
  std::uint64_t file_offset = 0;        // of the .npy file, which the checksum is of
  std::uint32_t crc = 0;

  std::uint64_t numel() const;
};

class NpzFile {
 public:
  explicit NpzFile(const std::string& path);
  NpzFile(std::shared_ptr<const ByteReader> reader, std::string name);  // from memory, for example

  const std::vector<NpzEntry>& entries() const { return entries_; }
  const NpzEntry& at(std::string_view name) const;  // Error(file) when there is none

  // All elements; the checksum is compared. T is the array's own type.
  template <typename T>
  std::vector<T> read(const NpzEntry& entry) const;
  std::vector<std::string> read_texts(const NpzEntry& entry) const;  // of a '<U' array, as UTF-8

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
