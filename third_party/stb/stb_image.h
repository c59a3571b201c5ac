// stb_image, as Kindred uses it: only the PNG and BMP readers, behind one function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace kindred::third_party {

struct FreeDeleter {
  void operator()(void* pointer) const;
};

struct StbImage {
  int height = 0;
  int width = 0;
  std::unique_ptr<std::uint8_t, FreeDeleter> pixels;  // [height, width, 3] RGB; null: see `reason`
  const char* reason = "";
};

// Decodes a PNG or BMP file to 8-bit RGB. No single allocation of stb_image gets more than `allocation_limit`
// bytes, because a compressed stream of a megabyte can ask for a gigabyte. Thread-safe.
StbImage stb_decode(const std::uint8_t* bytes, std::size_t size, std::size_t allocation_limit);

}  // namespace kindred::third_party
