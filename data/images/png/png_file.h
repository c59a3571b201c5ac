// The structure of a PNG file: what its header says, its palette, and where the compressed pixels lie.
#pragma once

#include <kindred/data/images/decode_formats.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace kindred::detail {

enum class PngColour : std::uint8_t { gray = 0, rgb = 2, palette = 3, gray_alpha = 4, rgb_alpha = 6 };

// Every dy-th row from y0 on, with every dx-th pixel from x0 on. A plain picture is one pass, an interlaced one has
// seven (Adam7). Its rows stand one behind the other, each with the number of its filter in front.
struct PngPass {
  std::size_t x0 = 0, y0 = 0, dx = 1, dy = 1;
  std::size_t width = 0, height = 0;  // in pixels of the pass; either may be 0
  std::size_t row_bytes = 0;          // without the filter's number

  std::size_t bytes() const { return width == 0 ? 0 : height * (1 + row_bytes); }
};

struct PngFile {
  std::size_t height = 0, width = 0;
  std::size_t bits = 0;  // of a sample: 1, 2, 4, 8 or 16
  PngColour colour = PngColour::gray;
  bool interlaced = false;
  ByteSpan palette{};            // [entries, 3] RGB; the file's own bytes
  std::vector<ByteSpan> data{};  // the IDAT chunks' content: together one zlib stream
  std::size_t data_bytes = 0;    // of all of them
  bool lacks_end = false;        // the file ends behind an IDAT chunk, without a whole IEND chunk

  std::size_t channels() const;
  std::size_t pixel_bytes() const {
    return bits < 8 ? 1 : channels() * bits / 8;
  }  // how far filters look to the left
  std::vector<PngPass> passes() const;
  std::uint64_t filtered_bytes() const;  // of all passes
};

// Reads the chunks up to IEND, or up to the end of a file that has none behind its data (lacks_end; decompressing says whether
// all pixels are there), and compares the checksums of those that matter; the others are skipped, and so are the
// further frames of an animation. Returns "", or why there is no picture: `limits` hold for its size, and for the bytes
// of its filtered rows. Sets the size in `header` if `limits` allow it. `file` refers to `bytes`. An accepted file's header makes sense, but nothing is decompressed.
std::string read_png(ByteSpan bytes, const DecodeLimits& limits, PngFile& file, ImageHeader& header);

}  // namespace kindred::detail
