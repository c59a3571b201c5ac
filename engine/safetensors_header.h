// The header of a safetensors file, parsed with suspicion. Used by safetensors*.cpp only.
#pragma once

#include <kindred/engine/safetensors.h>

namespace kindred {

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;  // sorted by offset; together they cover [0, data_bytes) exactly
};

// `data_bytes`: what follows the header in the file. Throws Error(file) naming `path`.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           std::uint64_t data_bytes);

// Reads exactly `bytes` at `offset` of an open file. Error(file): whoever shortens a file meanwhile gets an
// error, not a crash.
void read_exactly(int file, const std::string& path, std::uint64_t offset, void* target, std::size_t bytes);

// Where the official library puts tensors of this type in a file: lower first, widest elements first, so that
// every tensor is aligned to its elements.
std::size_t safetensors_type_order(std::string_view dtype);

// "2, 3".
std::string joined(const std::vector<std::int64_t>& extents, const char* separator);

// A name from a file made fit for a message: one line, not too long.
std::string printable(std::string_view name);

}  // namespace kindred
