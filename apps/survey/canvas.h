// A canvas for the pictures that programs draw: shapes, text and other pictures, saved as PNG. Parts outside of the canvas are
// ignored. The edges of curves, slanted lines and letters are blended with what lies below them.
#pragma once

#include <kindred/data/images/image.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

using Color = std::array<std::uint8_t, 3>;  // RGB
inline constexpr Color white{255, 255, 255}, black{20, 20, 20}, muted{100, 100, 100}, faint{225, 225, 225},
    blue{66, 113, 174}, orange{214, 124, 44}, red{200, 40, 40};

// Which part of a line of text is at the point where it is put.
enum class Align : std::uint8_t { left, centre, right };

struct TextStyle {
  int size = 13;  // pixels per em, 1 to 200
  Color color = black;
  Align align = Align::left;
  bool upwards = false;  // turned to the left by a quarter: read from the bottom to the top
};

struct PointOnCanvas {
  double y = 0, x = 0;  // pixels; the first pixel's centre is (0.5, 0.5)
};

class Canvas {
 public:
  Canvas(int height, int width, Color background = white);

  int height() const { return image_.height; }
  int width() const { return image_.width; }
  const Image& image() const { return image_; }

  void fill(int top, int left, int height, int width, Color color);
  void frame(int top, int left, int height, int width, int thickness, Color color);  // around the rectangle
  void paste(int top, int left, const Image& picture);

  // A filled circle. opacity: 0 to 1. Nothing is drawn where a number is not finite.
  void dot(PointOnCanvas centre, double radius, Color color, double opacity = 1);
  // Straight lines from each point to the next, with round ends.
  void line(const std::vector<PointOnCanvas>& points, double thickness, Color color);

  // The middle of the line's capitals goes through the point; a line that is not turned lies to its right, or as `align` says.
  void write(int y, int x, const std::string& line, const TextStyle& style);
  static int written_width(const std::string& line, int size);

  // Text of the sizes that programs use most: of 10, 16 and 22 pixels per em for scale 1, 2 and 3, in the middle of a line of
  // line_height / 2 * scale pixels.
  void text(int top, int left, const std::string& line, Color color = black, int scale = 2);
  static constexpr int line_height = 24;  // of text at scale 2
  static constexpr int text_size(int scale) { return 4 + 6 * scale; }
  static int text_width(const std::string& line, int scale = 2);
  // Shortens the line to at most `width` pixels, if necessary, by replacing its middle with an ellipsis.
  static std::string fitting(const std::string& line, int width, int scale = 2);

  void save(const std::filesystem::path& path) const;  // PNG, atomically; throws Error(io)

 private:
  void blend(int y, int x, Color color, double share);

  Image image_;
};

}  // namespace kindred
