#include <kindred/data/images/pixel_math.h>
#include <kindred/data/views/color.h>

namespace kindred {
void adjust_brightness(Planes& view, float factor) {
  std::uint8_t* values = view.values.data();
  const std::size_t count = view.values.size();
  for (std::size_t i = 0; i < count; ++i) values[i] = clip(factor * float(values[i]));
}

void adjust_contrast(Planes& view, float factor) {
  const std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
  std::uint64_t sum = 0;
  for (std::size_t row = 0; row < pixels; row += std::size_t(view.size)) {
    std::uint32_t row_sum = 0;  // 32 bits suffice for a row of 16 million pixels, and vectorise
    for (std::size_t i = row; i < row + std::size_t(view.size); ++i) {
      row_sum += static_cast<std::uint32_t>(gray_of(red[i], green[i], blue[i]));
    }
    sum += row_sum;
  }
  const int mean = static_cast<int>(double(sum) / double(pixels) + 0.5);
  std::uint8_t* values = view.values.data();
  const std::size_t count = view.values.size();
  for (std::size_t i = 0; i < count; ++i) values[i] = blend(mean, values[i], factor);
}

void adjust_saturation(Planes& view, float factor) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
#pragma GCC ivdep  // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const int gray = gray_of(red[i], green[i], blue[i]);
    red[i] = blend(gray, red[i], factor);
    green[i] = blend(gray, green[i], factor);
    blue[i] = blend(gray, blue[i], factor);
  }
}

void adjust_hue(Planes& view, float turns) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
  const int shift = hue_steps(turns);
#pragma GCC ivdep  // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const PixelColor turned = shift_hue({red[i], green[i], blue[i]}, shift);
    red[i] = turned.red;
    green[i] = turned.green;
    blue[i] = turned.blue;
  }
}

void to_gray(Planes& view) {
  std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
#pragma GCC ivdep  // the three planes do not overlap
  for (std::size_t i = 0; i < pixels; ++i) {
    const auto gray = static_cast<std::uint8_t>(gray_of(red[i], green[i], blue[i]));
    red[i] = gray;
    green[i] = gray;
    blue[i] = gray;
  }
}

}  // namespace kindred
