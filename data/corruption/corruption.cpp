#include <kindred/data/corruption/corruption_parts.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

namespace kindred {
namespace {

struct Entry {
  Corruption value;
  const char* name;
  double alexnet_error;  // from github.com/hendrycks/robustness, as AugMix and others use them
};

using enum Corruption;
constexpr Entry entries[] = {
    {gaussian_noise, "gaussian_noise", 0.886428},
    {shot_noise, "shot_noise", 0.894468},
    {impulse_noise, "impulse_noise", 0.922640},
    {defocus_blur, "defocus_blur", 0.819880},
    {glass_blur, "glass_blur", 0.826268},
    {motion_blur, "motion_blur", 0.785948},
    {zoom_blur, "zoom_blur", 0.798360},
    {snow, "snow", 0.866816},
    {fog, "fog", 0.819324},
    {brightness, "brightness", 0.564592},
    {contrast, "contrast", 0.853204},
    {elastic_transform, "elastic_transform", 0.646056},
    {pixelate, "pixelate", 0.717840},
    {jpeg_compression, "jpeg_compression", 0.606500},
};

constexpr std::array<double, 5> pixelate_scales{0.6, 0.5, 0.4, 0.3, 0.25};
constexpr std::array<int, 5> jpeg_qualities{25, 18, 15, 10, 7};
constexpr int published_quality = 85;

const Entry& entry_of(Corruption corruption) {
  return entries[static_cast<std::size_t>(corruption)];
}

}  // namespace

const std::vector<Corruption>& all_corruptions() {
  static const std::vector<Corruption> all = [] {
    std::vector<Corruption> list;
    for (const Entry& entry : entries) list.push_back(entry.value);
    return list;
  }();
  return all;
}

const char* name(Corruption corruption) {
  return entry_of(corruption).name;
}

double alexnet_error(Corruption corruption) {
  return entry_of(corruption).alexnet_error;
}

Corruption parse_corruption(std::string_view text) {
  if (const auto corruption = value_named(entries, text)) return *corruption;
  fail(ExitCode::usage, "unknown corruption {}; use all, or some of {}", text, names_of(entries, ",", ","));
}

void corrupt(std::span<std::uint8_t> pixels, int side, Corruption corruption, int severity,
             RandomStream& random) {
  check(severity >= 1 && severity <= worst_severity && side >= smallest_corrupted_side &&
            pixels.size() == std::size_t(side) * std::size_t(side) * 3,
        ExitCode::internal, "corrupt: severity {}, side {}, {} bytes", severity, side, pixels.size());
  detail::apply(pixels, side, corruption, severity - 1, random);
  detail::through_jpeg(pixels, side, published_quality);
}

void detail::apply(std::span<std::uint8_t> pixels, int side, Corruption corruption, int severity,
                   RandomStream& random) {
  const auto s = static_cast<std::size_t>(severity);
  if (corruption == Corruption::pixelate) return pixelate(pixels, side, pixelate_scales[s]);
  if (corruption == jpeg_compression) return through_jpeg(pixels, side, jpeg_qualities[s]);
  Plane plane = from_bytes(pixels, side);
  if (corruption <= impulse_noise)
    add_noise(plane, corruption, severity, random);
  else if (corruption <= zoom_blur)
    blur(plane, corruption, severity, random);
  else if (corruption <= brightness)
    add_weather(plane, corruption, severity, random);
  else
    transform(plane, corruption, severity, random);
  to_bytes(plane, pixels);
}

}  // namespace kindred
