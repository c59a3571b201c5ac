// Internal to data/: the constants of a pack's layout (pack.h describes it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <xxhash.h>

namespace kindred::detail {

using Magic = std::array<std::uint8_t, 8>;
constexpr Magic pack_magic{0x89, 'K', 'P', 'A', 'C', 'K', '\r', '\n'};
constexpr Magic partial_magic{0x89, 'K', 'P', 'A', 'R', 'T', '\r', '\n'};
constexpr std::uint32_t pack_version = 1, pack_version_with_held_out = 2;
constexpr std::size_t header_bytes = 64, frame_bytes = 16, entry_bytes = 28, fingerprint_offset = 48;

struct PackHeader {
  Magic magic = pack_magic;
  std::uint32_t version = pack_version;
  std::uint64_t file_bytes = 0, index_offset = 0, index_bytes = 0, index_hash = 0, fingerprint = 0;
};

inline std::uint64_t hash_of(std::span<const std::uint8_t> bytes, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// Appends numbers and text in the layout of the file.
class PackBytes {
 public:
  template <typename T>
  void number(T value) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    text_.append(reinterpret_cast<const char*>(bytes), sizeof(T));
  }
  void text(std::string_view value) { text_.append(value); }
  std::size_t size() const { return text_.size(); }
  std::span<const std::uint8_t> bytes() const {
    return {reinterpret_cast<const std::uint8_t*>(text_.data()), text_.size()};
  }

 private:
  std::string text_;
};

inline PackBytes encode_header(const PackHeader& header) {
  PackBytes out;
  out.text({reinterpret_cast<const char*>(header.magic.data()), header.magic.size()});
  out.number(header.version);
  out.number(std::uint32_t{0});
  for (const std::uint64_t value :
       {header.file_bytes, header.index_offset, header.index_bytes, header.index_hash, header.fingerprint})
    out.number(value);
  out.number(hash_of(out.bytes()));
  return out;
}

}  // namespace kindred::detail
