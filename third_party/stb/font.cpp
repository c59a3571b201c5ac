// The only translation unit that contains stb_truetype (public domain, libstb-dev).
#include <kindred/engine/error.h>
#include <kindred/third_party/stb/font.h>

#include <cstddef>
#include <cstdlib>
#include <new>

// The file of the font, which the build puts in (DejaVuSans.ttf).
extern "C" {
extern const unsigned char kindred_font[];
extern const unsigned long kindred_font_size;
}

namespace kindred::third_party {
namespace {

// Where stb finds no memory it leaves parts of a letter out. So it is left at once; what it holds then is lost.
void* memory_for_outlines(std::size_t bytes) {
  void* const block = std::malloc(bytes);
  if (block == nullptr && bytes > 0) throw std::bad_alloc();
  return block;
}

}  // namespace
}  // namespace kindred::third_party

#define STBTT_malloc(bytes, user) ((void)(user), kindred::third_party::memory_for_outlines(bytes))
#define STBTT_free(block, user) ((void)(user), std::free(block))
#define STBTT_assert(x) ((void)(x))
#define STBTT_STATIC
#define STB_TRUETYPE_IMPLEMENTATION

// Warnings in this file are not ours to fix.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#include <stb/stb_truetype.h>
#pragma GCC diagnostic pop

namespace kindred::third_party {
namespace {

stbtt_fontinfo read_font() {
  stbtt_fontinfo font;
  check(kindred_font_size > 0 && stbtt_InitFont(&font, kindred_font, 0) != 0, ExitCode::internal,
        "the font in this program cannot be read");
  return font;
}

// Read once; it never changes, and holds no memory of its own.
const stbtt_fontinfo& the_font() {
  static const stbtt_fontinfo font = read_font();
  return font;
}

float scale_of(int size) {
  return stbtt_ScaleForMappingEmToPixels(&the_font(), static_cast<float>(size));
}

int outline_of(char32_t character) {
  return stbtt_FindGlyphIndex(&the_font(), static_cast<int>(character));
}

}  // namespace

bool font_has_outlines() {
  return true;
}

bool font_has(char32_t character) {
  return outline_of(character) != 0;
}

FontExtent font_extent(int size) {
  int above = 0, below = 0, gap = 0;
  stbtt_GetFontVMetrics(&the_font(), &above, &below, &gap);
  const float scale = scale_of(size);
  return {static_cast<float>(above) * scale, static_cast<float>(-below) * scale, -ink_of(U'H', size).top};
}

float pen_advance(char32_t character, int size) {
  int advance = 0, bearing = 0;
  stbtt_GetGlyphHMetrics(&the_font(), outline_of(character), &advance, &bearing);
  return static_cast<float>(advance) * scale_of(size);
}

float kerning(char32_t character, char32_t next, int size) {
  const int units = stbtt_GetGlyphKernAdvance(&the_font(), outline_of(character), outline_of(next));
  return static_cast<float>(units) * scale_of(size);
}

Ink ink_of(char32_t character, int size) {
  int left = 0, bottom = 0, right = 0, top = 0;  // in the font's units, upwards
  if (stbtt_GetGlyphBox(&the_font(), outline_of(character), &left, &bottom, &right, &top) == 0) return {};
  const float scale = scale_of(size);
  return {static_cast<float>(-top) * scale, static_cast<float>(left) * scale,
          static_cast<float>(-bottom) * scale, static_cast<float>(right) * scale};
}

Glyph rasterise(char32_t character, int size, float shift) {
  const stbtt_fontinfo& font = the_font();
  const float scale = scale_of(size);
  const int outline = outline_of(character);
  int left = 0, top = 0, right = 0, bottom = 0;
  stbtt_GetGlyphBitmapBoxSubpixel(&font, outline, scale, scale, shift, 0, &left, &top, &right, &bottom);
  Glyph glyph{.top = top, .left = left, .height = bottom - top, .width = right - left};
  if (glyph.height <= 0 || glyph.width <= 0) return {};
  glyph.coverage.resize(static_cast<std::size_t>(glyph.height) * static_cast<std::size_t>(glyph.width));
  stbtt_MakeGlyphBitmapSubpixel(&font, glyph.coverage.data(), glyph.width, glyph.height, glyph.width, scale,
                                scale, shift, 0, outline);
  return glyph;
}

}  // namespace kindred::third_party
