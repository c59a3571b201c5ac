// One array in a file of its own, .npy (source: numpy.lib.format, version 1.0): a table of f32 with as many rows as are written,
// and read through a memory map. NumPy reads it (np.load, also with mmap_mode), and so do programs that take NumPy's files.
//
//   "\x93NUMPY", version 1.0, u16 length, {'descr': '<f4', 'fortran_order': False, 'shape': (rows, columns), }, spaces up to a
//   multiple of 64 bytes; then the elements, little-endian, row by row
#pragma once

#include <kindred/data/files/mapped_bytes.h>
#include <kindred/engine/files/atomic_file.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace kindred {

// Everything in front of the elements. Its length does not depend on the number of rows, so that it can be written again
// when they have been counted.
std::string npy_header(std::int64_t rows, std::int64_t columns);

class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, std::int64_t columns, FileOperations& files = system_files());

  void append(std::span<const float> values);  // whole rows. Throws Error(io)
  std::int64_t rows() const { return rows_; }
  std::uint64_t bytes() const;  // of the file
  void commit();                // the file exists only after this call

 private:
  AtomicFile file_;
  std::int64_t columns_, rows_ = 0;
};

// A file of such a table, whose shape the reader knows. Throws Error(file), which ends in `advice`, if the file has another
// length or header.
class MappedNpy {
 public:
  MappedNpy(const std::string& path, std::int64_t rows, std::int64_t columns, const std::string& advice);

  std::span<const float> values() const;  // [rows, columns]

 private:
  MappedBytes file_;
  std::size_t header_bytes_;
};

// The bytes that a file of this shape has; nullopt if there can be none.
std::optional<std::uint64_t> npy_bytes(std::int64_t rows, std::int64_t columns);

}  // namespace kindred
