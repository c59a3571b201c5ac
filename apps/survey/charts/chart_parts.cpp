#include <kindred/apps/survey/charts/chart_parts.h>
#include <kindred/apps/survey/lettering.h>

#include <algorithm>
#include <cmath>

namespace kindred {

Color split_color(std::size_t split) {
  return split % 2 == 0 ? blue : orange;
}

int draw_heading(Canvas& canvas, const std::string& title, const std::vector<std::string>& legend,
                 const std::string& note) {
  const int room = canvas.width() - 2 * chart_margin;
  canvas.write(chart_margin + 10, chart_margin, fitting_line(title, room, title_size), {.size = title_size});
  const int middle = chart_margin + 40;
  int left = chart_margin;
  for (std::size_t s = 0; s < legend.size(); ++s) {
    canvas.fill(middle - 6, left, 12, 12, split_color(s));
    canvas.write(middle, left + 18, legend[s], {.size = label_size});
    left += 18 + Canvas::written_width(legend[s], label_size) + 24;
  }
  canvas.write(middle, left, note, {.size = label_size, .color = muted});
  return heading_height;
}

int bar_length(std::int64_t value, std::int64_t full, int length) {
  if (value <= 0 || full <= 0) return 0;
  const double share = static_cast<double>(value) / static_cast<double>(full);
  return std::max(1, static_cast<int>(std::lround(share * length)));
}

}  // namespace kindred
