// The only translation unit that contains stb_image (public domain, from the system's libstb-dev).
#include <kindred/third_party/stb/stb_image.h>

#include <climits>
#include <cstdlib>

namespace kindred::third_party {
namespace {

thread_local std::size_t allocation_limit_of_thread = 0;

void* limited_malloc(std::size_t bytes) {
  return bytes > allocation_limit_of_thread ? nullptr : std::malloc(bytes);
}

// If this fails, stb_image keeps `old` and frees it later.
void* limited_realloc(void* old, std::size_t bytes) {
  return bytes > allocation_limit_of_thread ? nullptr : std::realloc(old, bytes);
}

}  // namespace
}  // namespace kindred::third_party

#define STBI_MALLOC(size) kindred::third_party::limited_malloc(size)
#define STBI_REALLOC(old, size) kindred::third_party::limited_realloc(old, size)
#define STBI_FREE(pointer) std::free(pointer)
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS (1 << 17)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION

// Warnings in stb_image are not ours to fix.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace kindred::third_party {

void FreeDeleter::operator()(void* pointer) const {
  std::free(pointer);
}

StbImage stb_decode(const std::uint8_t* bytes, std::size_t size, std::size_t allocation_limit) {
  StbImage image;
  if (size > INT_MAX) {
    image.reason = "file too large";
    return image;
  }
  allocation_limit_of_thread = allocation_limit;
  int channels_in_file = 0;
  image.pixels.reset(
      stbi_load_from_memory(bytes, static_cast<int>(size), &image.width, &image.height, &channels_in_file, 3));
  if (!image.pixels) image.reason = stbi_failure_reason();
  return image;
}

}  // namespace kindred::third_party
