// PNG. The pixels are inflated at once (third_party/deflate), then row by row, while a row is in the cache, unfiltered and
// converted to RGB.
#pragma once

#include <kindred/data/images/png/png_file.h>

#include <memory>
#include <vector>

namespace kindred::detail {

// Call open, then decode, as with Decoder. A picture is always decoded as a whole.
class PngDecoder {
 public:
  // Checks the structure of the whole file.
  void open(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
  // Decodes the file that open has accepted. A colour that the palette lacks makes the picture damaged; everything else
  // that is wrong rejects it.
  void decode(Decoded& out);

 private:
  // Each returns "", or why there is no picture.
  std::string inflate_rows(std::size_t bytes);
  std::string convert_rows(Decoded& out);

  PngFile file_;
  std::vector<std::uint8_t> stream_;        // the content of several IDAT chunks
  std::unique_ptr<std::uint8_t[]> rows_;    // of all passes, filtered
  std::size_t capacity_ = 0;                // of rows_
  std::vector<std::uint8_t> zeros_, line_;  // the row above the first one; a row of a pass
  bool colours_lack_ = false;
};

}  // namespace kindred::detail
