#include <kindred/data/images/pixel_math.h>
#include <kindred/data/views/sharpness.h>

namespace kindred {
namespace {

// One row without its two ends. Sums of weight 13 are divided in float: the quotient is never close to half a
// level, so the rounding is the same as Pillow's.
void sharpen_row(const std::uint8_t* above, const std::uint8_t* row, const std::uint8_t* below, int size,
                 float factor, std::uint8_t* out) {
#pragma GCC ivdep  // `out` is a row of another picture
  for (int x = 1; x < size - 1; ++x) {
    const int around = above[x - 1] + above[x] + above[x + 1] + row[x - 1] + row[x + 1] + below[x - 1] +
                       below[x] + below[x + 1];
    const int smooth = static_cast<int>(float(around + 5 * row[x]) * (1.0f / 13.0f) + 0.5f);
    out[x] = blend(smooth, row[x], factor);
  }
}

}  // namespace

void adjust_sharpness(Planes& view, float factor, Planes& before) {
  const auto size = static_cast<std::size_t>(view.size);
  if (size < 3) return;
  before.resize(view.size);
  before.values = view.values;
  for (int channel = 0; channel < 3; ++channel) {
    for (std::size_t y = 1; y + 1 < size; ++y) {
      const std::uint8_t* row = before.plane(channel) + y * size;
      sharpen_row(row - size, row, row + size, view.size, factor, view.plane(channel) + y * size);
    }
  }
}

}  // namespace kindred
