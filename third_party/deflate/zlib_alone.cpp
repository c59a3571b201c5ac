// For a build that found no libdeflate.
#include <kindred/third_party/deflate/deflate.h>
#include <zlib.h>  // defines: zlibVersion, crc32_z

namespace kindred::third_party {

std::string deflate_library() {
  return std::string("zlib ") + zlibVersion();
}

bool inflate_raw(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out) {
  return inflate_by_zlib(stream, out);
}

std::uint32_t crc32_of(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace kindred::third_party
