#include <kindred/third_party/pictures/codec.h>

#include <fmt/core.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace kindred::third_party {
namespace {

// The file that libtiff reads, and the first error that it reports.
struct TiffBytes {
  std::span<const std::uint8_t> bytes;
  toff_t at = 0;
  std::string reason{};
};

TiffBytes& tiff_bytes(thandle_t handle) {
  return *static_cast<TiffBytes*>(handle);
}

tmsize_t read_tiff(thandle_t handle, void* to, tmsize_t count) {
  TiffBytes& from = tiff_bytes(handle);
  if (count <= 0 || from.at >= from.bytes.size()) return 0;
  const auto read = std::min<toff_t>(static_cast<toff_t>(count), from.bytes.size() - from.at);
  std::memcpy(to, from.bytes.data() + from.at, read);
  from.at += read;
  return static_cast<tmsize_t>(read);
}

tmsize_t write_nothing(thandle_t, void*, tmsize_t) {
  return 0;
}

toff_t seek_tiff(thandle_t handle, toff_t offset, int whence) {
  TiffBytes& from = tiff_bytes(handle);
  from.at = whence == SEEK_CUR ? from.at + offset : whence == SEEK_END ? from.bytes.size() + offset : offset;
  return from.at;
}

int close_nothing(thandle_t) {
  return 0;
}

toff_t size_of_tiff(thandle_t handle) {
  return tiff_bytes(handle).bytes.size();
}

int map_tiff(thandle_t handle, void** base, toff_t* size) {
  const TiffBytes& from = tiff_bytes(handle);
  *base = const_cast<std::uint8_t*>(from.bytes.data());  // libtiff does not write to it in mode "r"
  *size = from.bytes.size();
  return 1;
}

void unmap_nothing(thandle_t, void*, toff_t) {}

int keep_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  TiffBytes& from = *static_cast<TiffBytes*>(user);
  char text[200];
  std::vsnprintf(text, sizeof text, format, arguments);
  if (from.reason.empty()) from.reason = text;
  return 1;
}

// A palette behind the end of the file is only worth a warning to libtiff, which then takes the picture for a gray one.
int keep_warning(TIFF* file, void* user, const char* module, const char* format, va_list arguments) {
  char text[200];
  va_list again;
  va_copy(again, arguments);
  std::vsnprintf(text, sizeof text, format, again);
  va_end(again);
  return std::strstr(text, "ColorMap") == nullptr ? 1 : keep_error(file, user, module, format, arguments);
}

// A file whose first directory was read.
struct OpenedTiff {
  TiffBytes from;
  TIFF* file;

  explicit OpenedTiff(std::span<const std::uint8_t> bytes) : from{bytes} {
    TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
    TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, &from);
    TIFFOpenOptionsSetWarningHandlerExtR(options, keep_warning, &from);
    // A table of a few bytes can ask for gigabytes; a row or tile of a picture that is accepted does not.
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, tmsize_t{1} << 30);
    file = TIFFClientOpenExt("picture", "r", &from, read_tiff, write_nothing, seek_tiff, close_nothing,
                             size_of_tiff, map_tiff, unmap_nothing, options);
    TIFFOpenOptionsFree(options);
  }
  ~OpenedTiff() {
    if (file != nullptr) TIFFClose(file);
  }
  OpenedTiff(const OpenedTiff&) = delete;
  OpenedTiff& operator=(const OpenedTiff&) = delete;

  template <typename T>
  T field(std::uint32_t tag) const {
    T value{};
    return TIFFGetFieldDefaulted(file, tag, &value) ? value : T{};
  }
  std::string problem() const {
    return from.reason.empty() ? "damaged TIFF" : fmt::format("damaged TIFF: {}", from.reason);
  }
};

std::string tiff_library() {
  const std::string text = TIFFGetVersion();  // "LIBTIFF, Version 4.5.0\nCopyright ..."
  const std::size_t begin = text.find("Version ");
  return begin == std::string::npos ? "libtiff"
                                    : "libtiff " + text.substr(begin + 8, text.find('\n', begin) - begin - 8);
}

// Colours that libtiff would convert to others than Pillow does, or that neither converts; null for all others.
const char* unread_colours(std::uint16_t photometric) {
  switch (photometric) {
    case PHOTOMETRIC_CIELAB:
      return "CIELAB";
    case PHOTOMETRIC_ICCLAB:
      return "ICCLAB";
    case PHOTOMETRIC_ITULAB:
      return "ITULAB";
    case PHOTOMETRIC_CFA:
      return "CFA (a camera's raw data)";
    case PHOTOMETRIC_LOGL:
      return "LogL";
    case PHOTOMETRIC_LOGLUV:
      return "LogLuv";
    default:
      return nullptr;
  }
}

PictureSize tiff_size(std::span<const std::uint8_t> bytes) {
  const OpenedTiff tiff(bytes);
  if (tiff.file == nullptr) return {0, 0, tiff.problem()};
  if (const char* colours = unread_colours(tiff.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC)))
    return {0, 0, fmt::format("a TIFF whose colours are {}, which is not read; convert it to RGB", colours)};
  // A row of a picture that says it has thousands of samples a pixel would take gigabytes.
  constexpr std::uint16_t most_samples = 32;
  if (tiff.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL) > most_samples)
    return {0, 0, "a TIFF with more than 32 samples a pixel, which is no photo"};
  return {tiff.field<std::uint32_t>(TIFFTAG_IMAGELENGTH), tiff.field<std::uint32_t>(TIFFTAG_IMAGEWIDTH), ""};
}

// The file holds colours that are multiplied by their alpha ("associated"), which is the first sample behind them.
bool has_multiplied_colours(const OpenedTiff& tiff) {
  const auto kind = tiff.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC);
  std::uint16_t count = 0;
  std::uint16_t* extra = nullptr;
  return (kind == PHOTOMETRIC_RGB || kind == PHOTOMETRIC_MINISBLACK) &&
         TIFFGetFieldDefaulted(tiff.file, TIFFTAG_EXTRASAMPLES, &count, &extra) && count > 0 &&
         extra[0] == EXTRASAMPLE_ASSOCALPHA;
}

// The colour before it was multiplied by alpha, rounded down as in Pillow. Where nothing is seen, it is black.
std::uint8_t divided_by_alpha(unsigned colour, unsigned alpha) {
  return alpha == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(std::min(255u, colour * 255u / alpha));
}

// Gray or RGB with 8 or 16 bits, maybe with alpha, in rows: read as it is, because libtiff's own conversion multiplies
// colours by alpha. Of 16 bits the high byte is kept.
bool is_plain(const OpenedTiff& tiff) {
  const auto bits = tiff.field<std::uint16_t>(TIFFTAG_BITSPERSAMPLE);
  const auto kind = tiff.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC);
  const auto samples = tiff.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL);
  const auto number = tiff.field<std::uint16_t>(TIFFTAG_SAMPLEFORMAT);
  const bool has_colours = kind == PHOTOMETRIC_RGB && samples >= 3;
  const bool is_gray = kind == PHOTOMETRIC_MINISBLACK && samples >= 1;
  return (bits == 8 || bits == 16) && number == SAMPLEFORMAT_UINT && (has_colours || is_gray) &&
         !TIFFIsTiled(tiff.file) && tiff.field<std::uint16_t>(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_CONTIG;
}

std::string decode_rows(OpenedTiff& tiff, const PictureSize& size, std::uint8_t* rgb) {
  const auto samples = tiff.field<std::uint16_t>(TIFFTAG_SAMPLESPERPIXEL);
  const std::size_t sample_bytes = tiff.field<std::uint16_t>(TIFFTAG_BITSPERSAMPLE) / 8u;
  const bool is_gray = tiff.field<std::uint16_t>(TIFFTAG_PHOTOMETRIC) == PHOTOMETRIC_MINISBLACK;
  const auto row_bytes = static_cast<std::size_t>(std::max<tmsize_t>(TIFFScanlineSize(tiff.file), 0));
  if (row_bytes < size.width * samples * sample_bytes) return "damaged TIFF: its rows are too short";
  const std::size_t colours = is_gray ? 1 : 3;
  const bool divide = has_multiplied_colours(tiff) && samples > colours;
  std::vector<std::uint8_t> row(row_bytes);
  for (std::uint64_t y = 0; y < size.height; ++y) {
    if (TIFFReadScanline(tiff.file, row.data(), static_cast<std::uint32_t>(y), 0) != 1) return tiff.problem();
    // libtiff has put the bytes of 16 bits into the order of this machine, the low one first.
    const auto value = [&](std::size_t sample) { return row[sample * sample_bytes + sample_bytes - 1]; };
    for (std::uint64_t x = 0; x < size.width; ++x)
      for (std::uint64_t channel = 0; channel < 3; ++channel) {
        const std::uint8_t colour = value(x * samples + (is_gray ? 0 : channel));
        *rgb++ = divide ? divided_by_alpha(colour, value(x * samples + colours)) : colour;
      }
  }
  return "";
}

// Everything else that libtiff can convert: palettes, single bits, CMYK, YCbCr, tiles.
std::string decode_by_conversion(OpenedTiff& tiff, const PictureSize& size, std::uint8_t* rgb) {
  char message[1024] = "";
  if (!TIFFRGBAImageOK(tiff.file, message))
    return fmt::format("a TIFF of a kind that libtiff cannot read: {}", message);
  std::vector<std::uint32_t> raster(size.height * size.width);
  // In the order of the file, so that nothing is turned.
  const auto orientation = tiff.field<std::uint16_t>(TIFFTAG_ORIENTATION);
  if (!TIFFReadRGBAImageOriented(tiff.file, static_cast<std::uint32_t>(size.width),
                                 static_cast<std::uint32_t>(size.height), raster.data(),
                                 orientation >= 1 && orientation <= 8 ? orientation : ORIENTATION_TOPLEFT, 1))
    return tiff.problem();
  const bool divide = has_multiplied_colours(tiff);
  for (const std::uint32_t pixel : raster)
    for (const std::uint32_t colour : {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)})
      *rgb++ = divide ? divided_by_alpha(colour, TIFFGetA(pixel)) : static_cast<std::uint8_t>(colour);
  return "";
}

std::string tiff_decode(std::span<const std::uint8_t> bytes, const PictureSize& size, std::uint8_t* rgb) {
  OpenedTiff tiff(bytes);
  if (tiff.file == nullptr) return tiff.problem();
  std::string reason = is_plain(tiff) ? decode_rows(tiff, size, rgb) : decode_by_conversion(tiff, size, rgb);
  // After some errors libtiff goes on with what it has, such as a palette that lies behind the end of the file.
  return reason.empty() && !tiff.from.reason.empty() ? tiff.problem() : reason;
}

}  // namespace

const PictureCodec tiff_codec = {tiff_library, tiff_size, tiff_decode};

}  // namespace kindred::third_party
