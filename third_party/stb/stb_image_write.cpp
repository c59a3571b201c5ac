// The only translation unit that contains stb_image_write and stb_easy_font (public domain, libstb-dev).
#include <kindred/third_party/stb/stb_image_write.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

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
#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace kindred::third_party {
namespace {

std::string printable(std::string text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // a continuation byte of a UTF-8 character
    shown += byte >= 32 && byte < 127 ? c : '?';
  }
  return shown;
}

struct Vertex {
  float x, y, z;
  std::uint8_t color[4];
};

}  // namespace

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

void draw_text(const std::string& text,
               const std::function<void(int top, int left, int height, int width)>& fill) {
  std::string shown = printable(text);
  std::vector<Vertex> corners(shown.size() * 4 * 24 +
                              64);  // stb's figures: 270 bytes per character, 16 bytes per corner
  const int quads = stb_easy_font_print(0, 0, shown.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(Vertex)));
  for (int q = 0; q < quads; ++q) {
    const Vertex& from = corners[static_cast<std::size_t>(q) * 4];
    const Vertex& to = corners[static_cast<std::size_t>(q) * 4 + 2];
    fill(static_cast<int>(from.y), static_cast<int>(from.x), static_cast<int>(to.y - from.y),
         static_cast<int>(to.x - from.x));
  }
}

int text_width(const std::string& text) {
  std::string shown = printable(text);
  return stb_easy_font_width(shown.data());
}

}  // namespace kindred::third_party
