#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/map_picture.h>
#include <kindred/engine/random/philox.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr int map_side = 900, legend_width = 360, margin_of_map = 24, legend_step = 24;

// Colours that the colour-blind can tell (Okabe and Ito 2008), and shapes: 32 classes look different.
constexpr Color class_colors[] = {{0, 114, 178},  {230, 159, 0}, {0, 158, 115}, {204, 121, 167},
                                  {86, 180, 233}, {213, 94, 0},  {20, 20, 20},  {180, 160, 0}};
constexpr std::size_t mark_shapes = 4;

struct Mark {
  Color color;
  std::size_t shape;
};

Mark mark_of(std::size_t label, const PictureOfMap& map) {
  const std::size_t colored = map.classes.size() - map.grey;
  if (map.grey > 0 && label >= colored) return {muted, (label - colored) % mark_shapes};
  const std::size_t colors = std::size(class_colors);
  return {class_colors[label % colors], label / colors % mark_shapes};
}

void draw_mark(Canvas& canvas, int y, int x, const Mark& mark, int radius) {
  const int size = 2 * radius + 1, top = y - radius, left = x - radius;
  switch (mark.shape) {
    case 0:
      canvas.dot({y + 0.5, x + 0.5}, radius + 0.25, mark.color);
      break;
    case 1:  // a plus
      canvas.fill(y, left, 1, size, mark.color);
      canvas.fill(top, x, size, 1, mark.color);
      break;
    case 2:
      canvas.fill(top, left, size, size, mark.color);
      break;
    default:
      canvas.frame(top + 1, left + 1, size - 2, size - 2, 1, mark.color);
  }
}

void draw_class_legend(Canvas& canvas, const PictureOfMap& map) {
  std::vector<std::int64_t> images_of(map.classes.size());
  for (const std::int32_t label : map.labels) ++images_of[static_cast<std::size_t>(label)];
  const auto classes = static_cast<int>(map.classes.size());
  const int places = (map_side - 2 * margin_of_map) / legend_step, left = map_side + 20;
  const int shown = classes <= places ? classes : places - 1;
  for (int c = 0; c < shown; ++c) {
    const int top = margin_of_map + c * legend_step;
    const auto label = static_cast<std::size_t>(c);
    draw_mark(canvas, top + legend_step / 2, map_side + 6, mark_of(label, map), 4);
    // The number is what must be read whole.
    const std::string number = fmt::format(" ({})", images_of[label]);
    const int room = canvas.width() - left - margin_of_map - Canvas::text_width(number);
    canvas.text(top, left, Canvas::fitting(one_line(map.classes[label]), room) + number);
  }
  if (shown < classes)
    canvas.text(margin_of_map + shown * legend_step, left, fmt::format("and {} more", classes - shown));
}

// The pixels of the places, row and column: the map in the middle, with one scale for both directions.
std::vector<std::pair<int, int>> points_in_picture(std::span<const float> xy) {
  double low[2] = {xy[0], xy[1]}, high[2] = {xy[0], xy[1]};
  for (std::size_t i = 0; i < xy.size(); ++i) {
    low[i % 2] = std::min(low[i % 2], static_cast<double>(xy[i]));
    high[i % 2] = std::max(high[i % 2], static_cast<double>(xy[i]));
  }
  const double extent = std::max(high[0] - low[0], high[1] - low[1]);
  const double scale = extent > 0 ? (map_side - 2 * margin_of_map) / extent : 0;
  std::vector<std::pair<int, int>> pixels;
  for (std::size_t i = 0; i < xy.size(); i += 2)
    pixels.emplace_back(map_side / 2 - static_cast<int>(scale * (xy[i + 1] - (low[1] + high[1]) / 2)),
                        map_side / 2 + static_cast<int>(scale * (xy[i] - (low[0] + high[0]) / 2)));
  return pixels;
}

// All images in a random order, the same each time: in their own the last class would cover the others.
std::vector<std::size_t> drawing_order(std::size_t images) {
  std::vector<std::size_t> order(images);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(0, Purpose::shuffle);
  for (std::size_t i = images; i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  return order;
}

}  // namespace

void draw_map_picture(const std::filesystem::path& out, const PictureOfMap& map) {
  const bool has_classes = !map.labels.empty();
  Canvas canvas(map_side, map_side + (has_classes ? legend_width : 0));
  const auto pixels = points_in_picture(map.xy);
  const int radius = pixels.size() > 20'000 ? 1 : pixels.size() > 2'000 ? 2 : 3;
  for (const std::size_t image : drawing_order(pixels.size())) {
    const auto [y, x] = pixels[image];
    draw_mark(canvas, y, x, mark_of(has_classes ? static_cast<std::size_t>(map.labels[image]) : 0, map),
              radius);
  }
  if (has_classes) draw_class_legend(canvas, map);
  canvas.save(out);
}

}  // namespace kindred
