#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/lettering.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/third_party/stb/font.h>
#include <kindred/third_party/stb/stb_image_write.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

// Blending adds amounts of light, which 8-bit values stand for by a power of about 2.2. With that power dark letters on white
// come out thin, so text renderers take a smaller one; at 1.4 black on white and white on black look equally heavy.
constexpr double light_power = 1.4;

std::array<float, 256> table_of_light() {
  std::array<float, 256> light{};
  for (std::size_t value = 0; value < light.size(); ++value)
    light[value] = static_cast<float>(std::pow(static_cast<double>(value) / 255, light_power));
  return light;
}

std::uint8_t mixed(std::uint8_t below, std::uint8_t above, double share) {
  static const std::array<float, 256> light = table_of_light();
  if (share >= 1 || below == above) return above;
  const double sum = light[below] + share * (light[above] - light[below]);
  return static_cast<std::uint8_t>(std::lround(255 * std::pow(sum, 1 / light_power)));
}

struct PixelRange {
  int begin = 0, end = 0;
};

// The pixels of a side of `size` that lie between two places.
PixelRange pixels_between(double from, double to, int size) {
  return {static_cast<int>(std::floor(std::clamp(from, 0.0, static_cast<double>(size)))),
          static_cast<int>(std::ceil(std::clamp(to, 0.0, static_cast<double>(size))))};
}

double distance_to_segment(PointOnCanvas p, PointOnCanvas from, PointOnCanvas to) {
  const double dy = to.y - from.y, dx = to.x - from.x, square = dy * dy + dx * dx;
  const double along =
      square > 0 ? std::clamp(((p.y - from.y) * dy + (p.x - from.x) * dx) / square, 0.0, 1.0) : 0;
  return std::hypot(p.y - from.y - along * dy, p.x - from.x - along * dx);
}

}  // namespace

Canvas::Canvas(int height, int width, Color background) : image_(height, width) {
  fill(0, 0, height, width, background);
}

void Canvas::fill(int top, int left, int height, int width, Color color) {
  const int bottom = std::min(top + height, image_.height), right = std::min(left + width, image_.width);
  for (int y = std::max(top, 0); y < bottom; ++y)
    for (int x = std::max(left, 0); x < right; ++x) std::copy(color.begin(), color.end(), image_.pixel(y, x));
}

void Canvas::frame(int top, int left, int height, int width, int thickness, Color color) {
  fill(top - thickness, left - thickness, thickness, width + 2 * thickness, color);
  fill(top + height, left - thickness, thickness, width + 2 * thickness, color);
  fill(top, left - thickness, height, thickness, color);
  fill(top, left + width, height, thickness, color);
}

void Canvas::paste(int top, int left, const Image& picture) {
  for (int y = std::max(0, -top); y < picture.height && top + y < image_.height; ++y)
    for (int x = std::max(0, -left); x < picture.width && left + x < image_.width; ++x)
      std::copy_n(picture.pixel(y, x), 3, image_.pixel(top + y, left + x));
}

void Canvas::blend(int y, int x, Color color, double share) {
  if (y < 0 || x < 0 || y >= image_.height || x >= image_.width || share <= 0) return;
  std::uint8_t* const pixel = image_.pixel(y, x);
  for (std::size_t channel = 0; channel < color.size(); ++channel)
    pixel[channel] = mixed(pixel[channel], color[channel], share);
}

void Canvas::dot(PointOnCanvas centre, double radius, Color color, double opacity) {
  if (!std::isfinite(centre.y + centre.x + radius + opacity)) return;
  const PixelRange rows = pixels_between(centre.y - radius - 1, centre.y + radius + 1, image_.height);
  const PixelRange columns = pixels_between(centre.x - radius - 1, centre.x + radius + 1, image_.width);
  for (int y = rows.begin; y < rows.end; ++y)
    for (int x = columns.begin; x < columns.end; ++x) {
      const double distance = std::hypot(y + 0.5 - centre.y, x + 0.5 - centre.x);
      blend(y, x, color, std::clamp(radius + 0.5 - distance, 0.0, 1.0) * opacity);
    }
}

void Canvas::line(const std::vector<PointOnCanvas>& points, double thickness, Color color) {
  const double reach = thickness / 2 + 1;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const PointOnCanvas from = points[i - 1], to = points[i];
    if (!std::isfinite(from.y + from.x + to.y + to.x + thickness)) continue;
    const PixelRange rows =
        pixels_between(std::min(from.y, to.y) - reach, std::max(from.y, to.y) + reach, image_.height);
    const PixelRange columns =
        pixels_between(std::min(from.x, to.x) - reach, std::max(from.x, to.x) + reach, image_.width);
    for (int y = rows.begin; y < rows.end; ++y)
      for (int x = columns.begin; x < columns.end; ++x) {
        const double distance = distance_to_segment({y + 0.5, x + 0.5}, from, to);
        blend(y, x, color, std::clamp(thickness / 2 + 0.5 - distance, 0.0, 1.0));
      }
  }
}

void Canvas::write(int y, int x, const std::string& line, const TextStyle& style) {
  const int size = std::clamp(style.size, 1, 200);
  const Lettering lettering = set_line(line, size);
  const float before = style.align == Align::left    ? 0
                       : style.align == Align::right ? lettering.width
                                                     : lettering.width / 2;
  const auto baseline = static_cast<int>(std::lround(third_party::font_extent(size).capitals / 2));
  for (const Letter& letter : lettering.letters) {
    // The pen stands at quarters of a pixel, so that letters keep their distances.
    const float pen = std::round((letter.x - before) * 4) / 4, whole = std::floor(pen);
    const third_party::Glyph glyph = third_party::rasterise(letter.code, size, pen - whole);
    const int top = baseline + static_cast<int>(std::lround(letter.y)) + glyph.top;
    const int left = static_cast<int>(whole) + glyph.left;
    for (int row = 0; row < glyph.height; ++row)
      for (int column = 0; column < glyph.width; ++column) {
        const std::size_t at = static_cast<std::size_t>(row) * static_cast<std::size_t>(glyph.width) +
                               static_cast<std::size_t>(column);
        const int down = top + row, right = left + column;
        blend(style.upwards ? y - 1 - right : y + down, style.upwards ? x + down : x + right, style.color,
              glyph.coverage[at] / 255.0);
      }
  }
}

int Canvas::written_width(const std::string& line, int size) {
  return static_cast<int>(std::ceil(set_line(line, size).width));
}

void Canvas::text(int top, int left, const std::string& line, Color color, int scale) {
  write(top + line_height * scale / 4, left, line, {.size = text_size(scale), .color = color});
}

int Canvas::text_width(const std::string& line, int scale) {
  return written_width(line, text_size(scale));
}

std::string Canvas::fitting(const std::string& line, int width, int scale) {
  return fitting_line(line, width, text_size(scale));
}

void Canvas::save(const std::filesystem::path& path) const {
  const std::string file = third_party::encode_png(image_.pixels.data(), image_.height, image_.width);
  check(!file.empty(), ExitCode::device, Cause::out_of_memory, "{}: not enough memory for a picture of {} x {}",
        path.string(), image_.width, image_.height);
  write_file_atomically(path, file);
}

}  // namespace kindred
