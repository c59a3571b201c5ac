// The meta.mat of ImageNet's development kit, written by hand: a MATLAB 5 file, compressed or not.
#pragma once

#include <kindred/data/sets/mat_file.h>

#include <cstdint>
#include <string>
#include <vector>

#include <zlib.h>

namespace kindred::test {

inline void append_u32(std::string& out, std::uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), 4);
}

inline std::string element(std::uint32_t type, const std::string& data) {
  std::string out;
  if (!data.empty() && data.size() <= 4) {  // the short form
    append_u32(out, static_cast<std::uint32_t>(data.size()) << 16 | type);
    out += data;
    out.resize(8);
    return out;
  }
  append_u32(out, type);
  append_u32(out, static_cast<std::uint32_t>(data.size()));
  out += data;
  out.resize((out.size() + 7) / 8 * 8);
  return out;
}

inline std::string matrix(std::uint32_t array_class, std::uint32_t rows, std::uint32_t columns,
                          const std::string& name, const std::string& rest) {
  std::string flags, dimensions;
  append_u32(flags, array_class);
  append_u32(flags, 0);
  append_u32(dimensions, rows);
  append_u32(dimensions, columns);
  return element(14, element(6, flags) + element(5, dimensions) + element(1, name) + rest);
}

inline std::string number_matrix(int value) {
  const double wide = value;
  // As MATLAB does: whole numbers in the smallest type.
  return matrix(6, 1, 1, "",
                value < 256 ? element(2, std::string(1, static_cast<char>(value)))
                            : element(9, std::string(reinterpret_cast<const char*>(&wide), 8)));
}

inline std::string text_matrix(const std::string& value) {
  std::string wide;
  for (const char c : value) wide += std::string{c, '\0'};
  return matrix(4, 1, static_cast<std::uint32_t>(value.size()), "", element(4, wide));
}

inline std::vector<std::uint8_t> meta_mat(const std::vector<Synset>& synsets, bool compressed) {
  std::string length, names, cells;
  append_u32(length, 32);
  for (const std::string field : {"ILSVRC2012_ID", "WNID", "words"}) {
    names += field;
    names.resize((names.size() + 31) / 32 * 32);
  }
  for (const Synset& synset : synsets)
    cells += number_matrix(static_cast<int>(synset.id)) + text_matrix(synset.wnid) + text_matrix("some, words");
  const std::string array = matrix(2, static_cast<std::uint32_t>(synsets.size()), 1, "synsets",
                                   element(5, length) + element(1, names) + cells);
  std::string file = "MATLAB 5.0 MAT-file, written by a test";
  file.resize(124, ' ');
  file += std::string("\0\1IM", 4);
  const auto bytes = [](const std::string& all) { return std::vector<std::uint8_t>(all.begin(), all.end()); };
  if (!compressed) return bytes(file + array);
  uLongf packed_bytes = ::compressBound(array.size());
  std::string packed(packed_bytes, '\0');
  if (::compress(reinterpret_cast<Bytef*>(packed.data()), &packed_bytes,
                 reinterpret_cast<const Bytef*>(array.data()), array.size()) != Z_OK)
    return {};
  packed.resize(packed_bytes);
  append_u32(file, 15);
  append_u32(file, static_cast<std::uint32_t>(packed.size()));
  return bytes(file + packed);
}

}  // namespace kindred::test
