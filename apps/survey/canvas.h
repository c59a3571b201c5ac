// A canvas for the pictures that programs draw: rectangles, text and other pictures, saved as PNG.
#pragma once

#include <kindred/data/images/image.h>

#include <array>
#include <filesystem>
#include <string>

namespace kindred {

using Color = std::array<std::uint8_t, 3>;  // RGB
inline constexpr Color white{255, 255, 255}, black{20, 20, 20}, faint{225, 225, 225}, blue{66, 113, 174},
    orange{214, 124, 44}, red{200, 40, 40};

class Canvas {
 public:
  Canvas(int height, int width, Color background = white);

  int height() const { return image_.height; }
  int width() const { return image_.width; }

  // Parts outside of the canvas are ignored.
  void fill(int top, int left, int height, int width, Color color);
  void frame(int top, int left, int height, int width, int thickness, Color color);  // around the rectangle
  void paste(int top, int left, const Image& picture);
  void text(int top, int left, const std::string& line, Color color = black, int scale = 2);

  static constexpr int line_height = 24;  // of text at scale 2
  static int text_width(const std::string& line, int scale = 2);
  // Shortens the line to at most `width` pixels, if necessary, by replacing its middle with dots.
  static std::string fitting(const std::string& line, int width, int scale = 2);

  void save(const std::filesystem::path& path) const;  // PNG, atomically; throws Error(io)

 private:
  Image image_;
};

}  // namespace kindred
