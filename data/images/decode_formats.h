// Internal to data/: one decoder per format, and what they share. decode.cpp selects the decoder.
#pragma once

#include <kindred/data/images/decode.h>

#include <string_view>

namespace kindred::detail {

using ByteSpan = std::span<const std::uint8_t>;

struct JpegReader;  // the state of libjpeg

// jpeg.cpp. Call open, then decode, as with Decoder.
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
  std::vector<std::uint8_t> row_;  // for unwanted pixels and for CMYK
};

// bmp.cpp. The open function checks the structure of the whole file, except run-length codes. The decode function
// expects a file that passed this check. PNG has a folder of its own.
void open_bmp(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
void decode_bmp(ByteSpan bytes, const ImageHeader& header, Decoded& out);

// library_formats.cpp: formats whose library this build may lack.
bool has_library_for(ImageFormat format);
void open_by_library(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);  // header.format is set
void decode_by_library(ByteSpan bytes, const ImageHeader& header, Decoded& out);

// netpbm.cpp: PGM and PPM.
bool is_netpbm(ByteSpan bytes);
void open_netpbm(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header);
void decode_netpbm(ByteSpan bytes, const ImageHeader& header, Decoded& out);

// foreign_formats.cpp. The name of the picture format of a file by its first bytes, as format_name() has it for
// formats that Kindred reads: "WebP", "JPEG XL"; empty if it is none.
std::string_view picture_kind(ByteSpan bytes);

// Why a file that no decoder takes is no picture: "WebP; this build cannot read it", "a Git LFS
// pointer: run git lfs pull", "an HTML page". Its first bytes decide, never its name.
std::string why_no_picture(ByteSpan bytes);

// Turns `out` into a rejected picture without pixels. It keeps its memory.
void reject(Decoded& out, std::string reason);

// Sets the size, or the reason if a picture of this size must not be decoded.
void set_size(std::uint64_t height, std::uint64_t width, const DecodeLimits& limits, ImageHeader& header);

}  // namespace kindred::detail
