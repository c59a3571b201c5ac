// Reads parts of a file or of a block of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace kindred {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset` on and returns an empty string. If that fails, returns the reason. Thread-safe.
  virtual std::string read(std::uint64_t offset, std::span<std::uint8_t> out) const = 0;
};

// The span must outlive the reader.
class MemoryReader : public ByteReader {
 public:
  explicit MemoryReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::string read(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  std::span<const std::uint8_t> bytes_;
};

// A regular file that is kept open. Symbolic links are followed. Anything that is not a regular file is refused
// without blocking. Nothing is ever written.
class FileReader : public ByteReader {
 public:
  explicit FileReader(const std::string& path);  // see reason(); throws Error(device) as read_file() does
  ~FileReader() override;
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::string& reason() const { return reason_; }  // empty if the file is open, otherwise why not
  int descriptor() const { return file_; }
  std::uint64_t size() const override { return size_; }  // the size when the file was opened
  std::string read(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  int file_ = -1;
  std::uint64_t size_ = 0;
  std::string reason_;
};

}  // namespace kindred
