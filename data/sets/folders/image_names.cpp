#include <kindred/data/images/decode_formats.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace kindred {
namespace {

struct ImageEnding {
  std::string_view ending, format;
  ImageFormat read_as;    // none: no build reads it
  bool is_always_sample;  // see is_image_name
};

constexpr ImageEnding image_endings[] = {
    {".jpg", "JPEG", ImageFormat::jpeg, true},   {".jpeg", "JPEG", ImageFormat::jpeg, true},
    {".jpe", "JPEG", ImageFormat::jpeg, true},   {".jfif", "JPEG", ImageFormat::jpeg, true},
    {".png", "PNG", ImageFormat::png, true},     {".bmp", "BMP", ImageFormat::bmp, true},
    {".gif", "GIF", ImageFormat::gif, true},     {".tif", "TIFF", ImageFormat::tiff, true},
    {".tiff", "TIFF", ImageFormat::tiff, true},  {".webp", "WebP", ImageFormat::webp, true},
    {".ppm", "PPM", ImageFormat::ppm, true},     {".pgm", "PPM", ImageFormat::ppm, true},
    {".apng", "PNG", ImageFormat::png, true},    {".heic", "HEIC", ImageFormat::heic, false},
    {".heif", "HEIC", ImageFormat::heic, false}, {".avif", "AVIF", ImageFormat::avif, false}};

// No build reads these, and where they are all that a folder holds, that must be said.
struct ForeignEnding {
  std::string_view ending, format;
};

constexpr ForeignEnding foreign_endings[] = {
    {".jxl", "JPEG XL"},    {".jp2", "JPEG 2000"},  {".j2k", "JPEG 2000"},    {".j2c", "JPEG 2000"},
    {".jpc", "JPEG 2000"},  {".jpf", "JPEG 2000"},  {".jpx", "JPEG 2000"},    {".jpeg2000", "JPEG 2000"},
    {".jxr", "JPEG XR"},    {".wdp", "JPEG XR"},    {".heics", "HEIC"},       {".avifs", "AVIF"},
    {".pbm", "PBM"},        {".pam", "PAM"},        {".tga", "TGA"},          {".pcx", "PCX"},
    {".dds", "DDS"},        {".ico", "ICO"},        {".psd", "Photoshop"},    {".svg", "SVG"},
    {".mng", "MNG"},        {".exr", "OpenEXR"},    {".hdr", "Radiance HDR"}, {".fits", "FITS"},
    {".dcm", "DICOM"},      {".dng", "camera raw"}, {".cr2", "camera raw"},   {".cr3", "camera raw"},
    {".nef", "camera raw"}, {".arw", "camera raw"}, {".orf", "camera raw"},   {".rw2", "camera raw"},
    {".raf", "camera raw"}};

bool is_read_here(ImageFormat format) {
  switch (format) {
    case ImageFormat::none:
      return false;
    case ImageFormat::jpeg:
    case ImageFormat::png:
    case ImageFormat::bmp:
    case ImageFormat::ppm:
      return true;
    default:
      return detail::has_library_for(format);
  }
}

// The endings that were always samples stay samples in a build that cannot read them: the samples of a set do not
// change, so that runs can be resumed.
bool names_sample(const ImageEnding& ending) {
  return ending.is_always_sample || is_read_here(ending.read_as);
}

std::optional<ImageEnding> image_ending_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name[dot - 1] == '/')
    return std::nullopt;  // ".jpg" is all name
  const std::string ending = detail::lower_case(name.substr(dot));
  for (const ImageEnding& known : image_endings)
    if (known.ending == ending) return known;
  for (const ForeignEnding& known : foreign_endings)
    if (known.ending == ending) return ImageEnding{known.ending, known.format, ImageFormat::none, false};
  return std::nullopt;
}

}  // namespace

std::string_view promised_format(std::string_view name) {
  const auto ending = image_ending_of(name);
  return ending ? ending->format : std::string_view();
}

void UnreadFormats::add(std::string_view name) {
  const auto ending = image_ending_of(name);
  if (ending && !is_read_here(ending->read_as)) ++counts_[std::string(ending->ending)];
}

void UnreadFormats::add(const UnreadFormats& more) {
  for (const auto& [ending, count] : more.counts_) counts_[ending] += count;
}

std::string UnreadFormats::to_string() const {
  std::vector<std::pair<std::string, std::int64_t>> sorted(counts_.begin(), counts_.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::int64_t files = 0;
  std::string endings;
  for (const auto& [ending, count] : sorted) {
    files += count;
    endings += fmt::format("{}{} ({})", endings.empty() ? "" : ", ", ending, count);
  }
  return fmt::format("{} of formats that this build cannot read: {}", counted(files, "file"), endings);
}

std::string UnreadFormats::warning(std::string_view where) const {
  return fmt::format("warning: {}: {}; convert them to JPEG or PNG to use them", where, to_string());
}

bool detail::is_image_name(const std::string& name) {
  const auto ending = image_ending_of(name);
  return ending && names_sample(*ending);
}

}  // namespace kindred
