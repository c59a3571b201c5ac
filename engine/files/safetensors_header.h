// Parses the header of a safetensors file, which is not trusted. Used only by safetensors*.cpp.
#pragma once

#include <kindred/engine/files/safetensors.h>

namespace kindred {

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;  // sorted by offset; together they cover [0, data_bytes) exactly
};

// `data_bytes` is the number of bytes that follow the header in the file. Throws Error(file), which names
// `path`.
SafetensorsHeader parse_safetensors_header(const std::string& path, std::string_view json,
                                           std::uint64_t data_bytes);

// Reads exactly `bytes` bytes at `offset` of an open file. Throws Error(file) if the file is shorter, so a file
// that is truncated meanwhile causes an error and not a crash.
void read_exactly(int file, const std::string& path, std::uint64_t offset, void* target, std::size_t bytes);

// The position of this type in a file, as the official library orders tensors: lower values first, widest
// elements first. So every tensor is aligned to its elements.
std::size_t safetensors_type_order(std::string_view dtype);

// Joins the extents: "2, 3".
std::string joined(const std::vector<std::int64_t>& extents, const char* separator);

// Makes a name from a file fit for an error message: one line, not too long.
std::string printable(std::string_view name);

}  // namespace kindred
