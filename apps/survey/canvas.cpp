#include <kindred/apps/survey/canvas.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/third_party/stb/stb_image_write.h>

#include <algorithm>

namespace kindred {

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
  for (int y = 0; y < picture.height && top + y < image_.height; ++y)
    for (int x = 0; x < picture.width && left + x < image_.width; ++x)
      std::copy_n(picture.pixel(y, x), 3, image_.pixel(top + y, left + x));
}

void Canvas::text(int top, int left, const std::string& line, Color color, int scale) {
  third_party::draw_text(line, [&](int y, int x, int height, int width) {
    fill(top + y * scale, left + x * scale, height * scale, width * scale, color);
  });
}

int Canvas::text_width(const std::string& line, int scale) {
  return third_party::text_width(line) * scale;
}

std::string Canvas::fitting(const std::string& line, int width, int scale) {
  if (text_width(line, scale) <= width) return line;
  for (std::size_t kept = line.size() - 1; kept > 0; --kept) {
    const std::string cut = line.substr(0, kept - kept / 2) + "..." + line.substr(line.size() - kept / 2);
    if (text_width(cut, scale) <= width) return cut;
  }
  return "...";
}

void Canvas::save(const std::filesystem::path& path) const {
  const std::string file = third_party::encode_png(image_.pixels.data(), image_.height, image_.width);
  check(!file.empty(), ExitCode::device, Cause::out_of_memory, "{}: not enough memory for a picture of {} x {}",
        path.string(), image_.width, image_.height);
  write_file_atomically(path, file);
}

}  // namespace kindred
