// Reading a whole file that nobody vouches for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct FileContent {
  std::vector<std::uint8_t> bytes;
  std::string reason;  // empty: the file was read; otherwise why it was not, in words

  bool ok() const { return reason.empty(); }
};

// Reads `path` into `bytes`, whose memory is reused, and returns an empty string; or returns why it was not
// read, in words, and leaves `bytes` empty. Symbolic links are followed. Refused, with a reason and without
// blocking: what is not a regular file (a folder, a FIFO, a device), what is larger than `max_bytes`, and what
// cannot be opened or read. Does not throw, except std::bad_alloc. Never writes.
std::string read_file(const std::string& path, std::size_t max_bytes, std::vector<std::uint8_t>& bytes);
FileContent read_file(const std::string& path, std::size_t max_bytes);

}  // namespace kindred
