// Inside data/ only: one decoder per format, and what they share. decode.cpp chooses among them.
#pragma once

#include <kindred/data/decode.h>

namespace kindred::detail {

using ByteSpan = std::span<const std::uint8_t>;

struct JpegReader;  // libjpeg's state

// jpeg.cpp. open, then decode, as Decoder's.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  void open(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
  void decode(const Region& wanted, ReadTo read_to, Decoded& out);

 private:
  bool decode_part(Region wanted, ReadTo read_to, Decoded& out);

  ByteSpan bytes_;
  DecodeLimits limits_;
  std::unique_ptr<JpegReader> reader_;
  std::vector<std::uint8_t> row_;  // what is not wanted, and CMYK
};

// png_bmp.cpp. The open functions judge the structure of the whole file; the others decode what they let pass.
void open_png(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
void open_bmp(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
void decode_png(ByteSpan bytes, const ImageHeader& header, Decoded& out);
void decode_bmp(ByteSpan bytes, const ImageHeader& header, Decoded& out);

// Makes `out` a rejected picture without pixels; its memory stays.
void reject(Decoded& out, std::string reason);

// Sets the size, or the reason why a picture of this size is not decoded.
void set_size(std::uint64_t height, std::uint64_t width, const DecodeLimits& limits, ImageHeader& header);

}  // namespace kindred::detail
