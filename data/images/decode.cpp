#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/images/decode_formats.h>
#include <kindred/data/images/exif.h>
#include <kindred/data/images/png/png_decoder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kindred {
namespace {

template <std::size_t N>
bool starts_with(std::span<const std::uint8_t> bytes, const std::array<std::uint8_t, N>& signature) {
  return bytes.size() >= N && std::equal(signature.begin(), signature.end(), bytes.begin());
}

constexpr std::array<std::uint8_t, 2> jpeg_signature{0xFF, 0xD8};
constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::array<std::uint8_t, 2> bmp_signature{'B', 'M'};

// Of JPEG it is 65,500.
constexpr std::uint64_t max_side = 1 << 17;

constexpr Named<Outcome> outcomes[] = {
    {Outcome::ok, "ok"}, {Outcome::damaged, "damaged"}, {Outcome::rejected, "rejected"}};

constexpr Named<ImageFormat> formats[] = {{ImageFormat::none, "none"}, {ImageFormat::jpeg, "JPEG"},
                                          {ImageFormat::png, "PNG"},   {ImageFormat::bmp, "BMP"},
                                          {ImageFormat::webp, "WebP"}, {ImageFormat::tiff, "TIFF"},
                                          {ImageFormat::gif, "GIF"},   {ImageFormat::heic, "HEIC"},
                                          {ImageFormat::avif, "AVIF"}, {ImageFormat::ppm, "PPM"}};

}  // namespace

const char* outcome_name(Outcome outcome) {
  return name_of(outcomes, outcome);
}

const char* format_name(ImageFormat format) {
  return name_of(formats, format);
}

struct Decoder::Impl {
  std::span<const std::uint8_t> bytes;
  ImageHeader stored;  // with the size of the pixels in the file
  ImageHeader header;  // with the size of the picture that the caller gets, which may be turned
  int orientation = upright;
  Image spare;
  detail::JpegDecoder jpeg;
  detail::PngDecoder png;

  void decode_stored(const Region& wanted, ReadTo read_to, Decoded& out);
  void turn(Decoded& out);
};

Decoder::Decoder() : impl_(std::make_unique<Impl>()) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

const ImageHeader& Decoder::open(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  ImageHeader& header = impl_->stored;
  header = {};
  impl_->bytes = bytes;
  if (bytes.empty()) {
    header.reason = "the file is empty";
  } else if (starts_with(bytes, jpeg_signature)) {
    header.format = ImageFormat::jpeg;
    impl_->jpeg.open(bytes, limits, header);
  } else if (starts_with(bytes, png_signature)) {
    header.format = ImageFormat::png;
    impl_->png.open(bytes, limits, header);
  } else if (starts_with(bytes, bmp_signature)) {
    header.format = ImageFormat::bmp;
    detail::open_bmp(bytes, limits, header);
  } else if (detail::is_netpbm(bytes)) {
    header.format = ImageFormat::ppm;
    detail::open_netpbm(bytes, limits, header);
  } else if (const auto format = value_named(formats, detail::picture_kind(bytes));
             format && detail::has_library_for(*format)) {
    header.format = *format;
    detail::open_by_library(bytes, limits, header);
  } else {
    header.reason = detail::why_no_picture(bytes);
  }
  if (!header.ok()) header.height = header.width = 0;  // it may have been set before the problem was found
  const bool may_turn = limits.exif == ExifMode::apply && header.ok();
  impl_->orientation = may_turn ? exif_orientation(bytes, header.format) : upright;
  impl_->header = header;
  if (swaps_sides(impl_->orientation)) std::swap(impl_->header.height, impl_->header.width);
  if (impl_->orientation != upright)  // Impl::spare
    impl_->header.decoder_bytes +=
        3 * static_cast<std::size_t>(header.height) * static_cast<std::size_t>(header.width);
  return impl_->header;
}

void Decoder::decode(const Region& wanted, Decoded& out, ReadTo read_to) {
  const ImageHeader& header = impl_->header;
  if (!header.ok()) return detail::reject(out, header.reason);
  check(wanted.height >= 1 && wanted.width >= 1 && Region{0, 0, header.height, header.width}.contains(wanted),
        ExitCode::internal, "{} x {} pixels at ({}, {}) were requested from a picture of {} x {}", wanted.width,
        wanted.height, wanted.left, wanted.top, header.width, header.height);
  impl_->decode_stored(stored_region(wanted, impl_->orientation, impl_->stored.height, impl_->stored.width),
                       read_to, out);
  if (out.outcome != Outcome::rejected && impl_->orientation != upright) impl_->turn(out);
}

void Decoder::Impl::decode_stored(const Region& wanted, ReadTo read_to, Decoded& out) {
  out.top = out.left = 0;
  out.picture_height = stored.height;
  out.picture_width = stored.width;
  switch (stored.format) {
    case ImageFormat::jpeg:
      return jpeg.decode(wanted, read_to, out);
    case ImageFormat::png:
      return png.decode(out);
    case ImageFormat::bmp:
      return detail::decode_bmp(bytes, stored, out);
    case ImageFormat::ppm:
      return detail::decode_netpbm(bytes, stored, out);
    case ImageFormat::webp:
    case ImageFormat::tiff:
    case ImageFormat::gif:
    case ImageFormat::heic:
    case ImageFormat::avif:
      return detail::decode_by_library(bytes, stored, out);
    case ImageFormat::none:
      break;
  }
}

// `out` holds the picture, or a part of it, as it is stored.
void Decoder::Impl::turn(Decoded& out) {
  const Region held = upright_region(out.held(), orientation, out.picture_height, out.picture_width);
  turn_upright(out.image, orientation, spare);
  out.top = held.top;
  out.left = held.left;
  if (swaps_sides(orientation)) std::swap(out.picture_height, out.picture_width);
}

void Decoder::decode_whole(Decoded& out) {
  decode({0, 0, impl_->header.height, impl_->header.width}, out);
}

ImageHeader probe_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  return Decoder().open(bytes, limits);
}

Decoded decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  Decoder decoder;
  decoder.open(bytes, limits);
  Decoded decoded;
  decoder.decode_whole(decoded);
  return decoded;
}

Decoded decode_region(std::span<const std::uint8_t> bytes, const Region& wanted, const DecodeLimits& limits) {
  Decoder decoder;
  const ImageHeader& header = decoder.open(bytes, limits);
  // In 64 bits, because the caller may pass any numbers.
  const auto common = [](std::int64_t first, std::int64_t length, std::int64_t size, int& from, int& count) {
    const std::int64_t low = std::clamp<std::int64_t>(first, 0, size);
    const std::int64_t high = std::clamp<std::int64_t>(first + length, low, size);
    from = static_cast<int>(low);
    count = static_cast<int>(high - low);
  };
  Region region;
  common(wanted.top, wanted.height, header.height, region.top, region.height);
  common(wanted.left, wanted.width, header.width, region.left, region.width);
  if (region.height == 0 || region.width == 0) region = {0, 0, header.height, header.width};
  Decoded decoded;
  decoder.decode(region, decoded);
  return decoded;
}

Decoded decode_file(const std::string& path, const DecodeLimits& limits) {
  const FileContent file = read_file(path, limits.max_file_bytes);
  if (file.ok()) return decode_image(file.bytes, limits);
  Decoded decoded;
  detail::reject(decoded, file.reason);
  return decoded;
}

namespace detail {

void reject(Decoded& out, std::string reason) {
  out.outcome = Outcome::rejected;
  out.reason = std::move(reason);
  out.image.resize(0, 0);
  out.top = out.left = out.picture_height = out.picture_width = 0;
}

void set_size(std::uint64_t height, std::uint64_t width, const DecodeLimits& limits, ImageHeader& header) {
  if (height == 0 || width == 0) {
    header.reason = fmt::format("its header says {} x {} pixels", width, height);
  } else if (height > limits.max_pixels / width) {  // the same as height * width > max_pixels, without overflow
    header.reason = fmt::format("its header says {} x {} pixels, more than the limit of {}", width, height,
                                limits.max_pixels);
  } else if (height > max_side || width > max_side) {
    header.reason =
        fmt::format("its header says {} x {} pixels, a side of more than {}", width, height, max_side);
  } else {
    header.height = static_cast<int>(height);
    header.width = static_cast<int>(width);
  }
}

}  // namespace detail
}  // namespace kindred
