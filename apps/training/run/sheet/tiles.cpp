#include <kindred/apps/training/run/sheet/tiles.h>
#include <kindred/data/images/shrink.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::uint8_t gray_of_tile = 225;

}  // namespace

void put_tile(Image& sheet, int top, int left, int cell, const Image& picture) {
  for (int y = 0; y < cell; ++y) std::fill_n(sheet.pixel(top + y, left), std::size_t(cell) * 3, gray_of_tile);
  if (picture.empty()) return;
  const Image small = shrink_to(picture, cell);
  const int times = cell / std::max(small.height, small.width);
  const int height = small.height * times, width = small.width * times;
  top += (cell - height) / 2;
  left += (cell - width) / 2;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      std::copy_n(small.pixel(y / times, x / times), 3, sheet.pixel(top + y, left + x));
}

}  // namespace kindred
