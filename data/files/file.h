// Reads a whole file that is not trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct FileContent {
  std::vector<std::uint8_t> bytes;
  std::string reason;  // empty if the file was read, otherwise why not, in words

  bool ok() const { return reason.empty(); }
};

// Reads `path` into `bytes`, whose memory is reused, and returns an empty string. If that fails, it returns the
// reason in words and leaves `bytes` empty. Symbolic links are followed. It refuses, with a reason and without
// blocking, anything that is not a regular file (a folder, a FIFO, a device), that is larger than `max_bytes`,
// or that cannot be opened or read. It throws nothing but std::bad_alloc, and Error(device) if this process
// may open no more files (listing_error.h), which says nothing about this one. It never writes.
std::string read_file(const std::string& path, std::size_t max_bytes, std::vector<std::uint8_t>& bytes);
FileContent read_file(const std::string& path, std::size_t max_bytes);

}  // namespace kindred
