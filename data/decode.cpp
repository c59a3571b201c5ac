#include <fmt/format.h>
#include <kindred/data/decode_formats.h>
#include <kindred/data/file.h>

#include <algorithm>
#include <array>

namespace kindred {
namespace {

template <std::size_t N>
bool starts_with(std::span<const std::uint8_t> bytes, const std::array<std::uint8_t, N>& signature) {
  return bytes.size() >= N && std::equal(signature.begin(), signature.end(), bytes.begin());
}

constexpr std::array<std::uint8_t, 2> jpeg_signature{0xFF, 0xD8};
constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::array<std::uint8_t, 2> bmp_signature{'B', 'M'};

}  // namespace

const char* outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::damaged:
      return "damaged";
    case Outcome::rejected:
      return "rejected";
  }
  return "?";
}

Decoded decode_image(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  if (bytes.empty()) return detail::rejected("the file is empty");
  if (starts_with(bytes, jpeg_signature)) return detail::decode_jpeg(bytes, limits);
  if (starts_with(bytes, png_signature)) return detail::decode_png(bytes, limits);
  if (starts_with(bytes, bmp_signature)) return detail::decode_bmp(bytes, limits);
  return detail::rejected("not a JPEG, PNG or BMP file");
}

Decoded decode_file(const std::string& path, const DecodeLimits& limits) {
  const FileContent file = read_file(path, limits.max_file_bytes);
  if (!file.ok()) return detail::rejected(file.reason);
  return decode_image(file.bytes, limits);
}

namespace detail {

Decoded rejected(std::string reason) {
  Decoded result;
  result.outcome = Outcome::rejected;
  result.reason = std::move(reason);
  return result;
}

std::string size_problem(std::uint64_t height, std::uint64_t width, const DecodeLimits& limits) {
  if (height == 0 || width == 0) return fmt::format("its header claims {} x {} pixels", width, height);
  if (height > limits.max_pixels / width) {  // height * width > max_pixels, without overflow
    return fmt::format("its header claims {} x {} pixels, more than the limit of {}", width, height,
                       limits.max_pixels);
  }
  return {};
}

}  // namespace detail
}  // namespace kindred
