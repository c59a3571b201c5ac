// The parts of a zip archive that npz*.cpp writes and reads (PKWARE APPNOTE 6.3, sections 4.3 and 4.5).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace kindred::detail {

inline constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50,
                               end_signature = 0x06054b50, end64_signature = 0x06064b50,
                               locator64_signature = 0x07064b50;
inline constexpr std::size_t local_bytes = 30, central_bytes = 46, end_bytes = 22, end64_bytes = 56,
                             locator64_bytes = 20;
inline constexpr std::uint16_t zip64_extra = 1;
inline constexpr std::uint32_t in_zip64 = 0xffffffff;  // "see the zip64 record"
inline constexpr std::uint16_t in_zip64_short = 0xffff;

inline constexpr std::string_view npy_magic{"\x93NUMPY\x01\x00", 8};
inline constexpr std::size_t npy_prefix_bytes = 10;  // magic, version, u16 length
inline constexpr std::size_t npy_alignment = 64;

// Little-endian fields, one after the other. The machine must be little-endian too
// (engine/files/safetensors.cpp asserts it).
class Fields {
 public:
  template <typename T>
  Fields& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  std::string bytes;
};

template <typename T>
T field(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace kindred::detail
