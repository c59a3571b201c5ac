#include <kindred/data/images/resize.h>
#include <kindred/data/images/shrink.h>

#include <algorithm>
#include <cmath>

namespace kindred {

Image shrink_to(const Image& image, int side) {
  const int longer = std::max(image.height, image.width);
  if (longer <= side) return image;
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(double(length) * side / longer)));
  };
  Image result(scaled(image.height), scaled(image.width));
  ResizeAxis rows, columns;
  rows.compute(image.height, result.height, 0, result.height);
  columns.compute(image.width, result.width, 0, result.width);
  std::vector<float> row(static_cast<std::size_t>(image.width) * 3);  // one output row, before it is narrowed
  for (int y = 0; y < result.height; ++y) {
    const FilterTap& down = rows.taps[static_cast<std::size_t>(y)];
    std::fill(row.begin(), row.end(), 0.0f);
    for (int k = 0; k < down.count; ++k) {
      const float weight = rows.weights[down.weights + static_cast<std::size_t>(k)];
      const std::uint8_t* in = image.pixel(down.first + k, 0);
      for (std::size_t i = 0; i < row.size(); ++i) row[i] += weight * in[i];
    }
    for (int x = 0; x < result.width; ++x) {
      const FilterTap& across = columns.taps[static_cast<std::size_t>(x)];
      for (std::size_t channel = 0; channel < 3; ++channel) {
        float sum = 0.5f;
        for (int k = 0; k < across.count; ++k)
          sum += columns.weights[across.weights + static_cast<std::size_t>(k)] *
                 row[static_cast<std::size_t>(across.first + k) * 3 + channel];
        result.pixel(y, x)[channel] = static_cast<std::uint8_t>(std::clamp(sum, 0.0f, 255.0f));
      }
    }
  }
  return result;
}

}  // namespace kindred
