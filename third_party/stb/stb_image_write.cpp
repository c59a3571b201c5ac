// The only translation unit that contains stb_image_write (public domain, libstb-dev).
#include <kindred/third_party/stb/stb_image_write.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace kindred::third_party {
namespace {

// stb does not look whether an array could grow, and would write beyond the end of the old one. So it is left at once.
// What it holds then is lost.
void* memory_for_stb(void* old, std::size_t bytes) {
  void* const block = std::realloc(old, bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace
}  // namespace kindred::third_party

#define STBIW_MALLOC(bytes) kindred::third_party::memory_for_stb(nullptr, bytes)
#define STBIW_REALLOC(old, bytes) kindred::third_party::memory_for_stb(old, bytes)
#define STBIW_FREE(block) std::free(block)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION

// Warnings in these files are not ours to fix.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace kindred::third_party {
std::string encode_png(const std::uint8_t* pixels, int height, int width) {
  std::string file;
  const auto append = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  try {
    if (stbi_write_png_to_func(append, &file, width, height, 3, pixels, 3 * width) == 0) file.clear();
  } catch (const std::bad_alloc&) {
    file.clear();
  }
  return file;
}

}  // namespace kindred::third_party
