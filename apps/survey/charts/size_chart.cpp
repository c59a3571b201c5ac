#include <kindred/apps/survey/charts/chart_parts.h>
#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/charts/size_chart.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

constexpr int plot_height = 220, below_axis = 58, panel_title = 30, widest_bin = 130;

struct SizePanel {
  const SizeBins& bins;
  int top = 0;   // of the title
  int zero = 0;  // the row of the axis
  int left = 0;
  int width = 0;        // of all bins
  bool turned = false;  // the numbers, which are wider than the bars
  std::vector<std::int64_t> ticks{};

  std::size_t bin_count() const { return bins.edges.size() - 1; }
  int x_of(std::size_t edge) const {
    const auto place = [&](int pixels) {
      return bins.logarithmic ? std::log(pixels) : static_cast<double>(pixels);
    };
    const double first = place(bins.edges.front()), last = place(bins.edges.back());
    return left + static_cast<int>(std::lround((place(bins.edges[edge]) - first) / (last - first) * width));
  }
  // The columns of a split's bar.
  std::pair<int, int> bar(std::size_t bin, std::size_t split) const {
    const int from = x_of(bin) + 2, room = x_of(bin + 1) - 1 - from,
              splits = static_cast<int>(bins.counts.size());
    const int s = static_cast<int>(split);
    return {from + room * s / splits, from + room * (s + 1) / splits - (s + 1 < splits ? 1 : 0)};
  }
};

std::int64_t largest_bin(const SizeBins& bins) {
  std::int64_t largest = 0;
  for (const auto& of_split : bins.counts)
    for (const std::int64_t count : of_split) largest = std::max(largest, count);
  return largest;
}

SizePanel size_panel(const SizeBins& bins, int top) {
  const std::int64_t largest = largest_bin(bins);
  SizePanel panel{.bins = bins, .top = top, .ticks = round_ticks(largest, 5)};
  panel.left = chart_margin + Canvas::written_width(with_commas(panel.ticks.back()), small_size) + 10;
  panel.width =
      std::min(chart_width - chart_margin - panel.left - 20, static_cast<int>(panel.bin_count()) * widest_bin);
  for (std::size_t b = 0; b < panel.bin_count(); ++b)
    for (std::size_t s = 0; s < bins.counts.size(); ++s) {
      const auto [from, to] = panel.bar(b, s);
      panel.turned |= Canvas::written_width(with_commas(bins.counts[s][b]), small_size) > to - from + 2;
    }
  const int numbers = panel.turned ? Canvas::written_width(with_commas(largest), small_size) + 8 : 18;
  panel.zero = top + panel_title + numbers + plot_height;
  return panel;
}

int bottom_of(const SizePanel& panel) {
  return panel.zero + below_axis;
}

void draw_axes(Canvas& canvas, const SizePanel& panel) {
  const int right = panel.left + panel.width;
  for (const std::int64_t tick : panel.ticks) {
    const int y = panel.zero - bar_length(tick, panel.ticks.back(), plot_height);
    canvas.fill(y, panel.left, 1, panel.width, faint);
    canvas.write(y, panel.left - 8, with_commas(tick),
                 {.size = small_size, .color = muted, .align = Align::right});
  }
  canvas.fill(panel.zero, panel.left, 1, panel.width, black);
  const bool single = panel.bins.single_values();
  for (std::size_t e = 0; e < panel.bins.edges.size(); ++e) {
    const int x = panel.x_of(e);
    if (!single) canvas.fill(panel.zero, x, 6, 1, black);
    if (single && e == panel.bin_count()) break;
    canvas.write(panel.zero + 16, single ? (x + panel.x_of(e + 1)) / 2 : x, with_commas(panel.bins.edges[e]),
                 {.size = small_size, .align = Align::centre});
  }
  canvas.write(panel.zero + 34, single ? panel.left : std::min(panel.left, right),
               single ? "pixels"
                      : "pixels; a bar counts the sides from the number at its left edge to just below the one "
                        "at its right",
               {.size = small_size, .color = muted});
}

void draw_bars(Canvas& canvas, const SizePanel& panel) {
  for (std::size_t b = 0; b < panel.bin_count(); ++b)
    for (std::size_t s = 0; s < panel.bins.counts.size(); ++s) {
      const std::int64_t count = panel.bins.counts[s][b];
      if (count == 0) continue;
      const auto [from, to] = panel.bar(b, s);
      const int length = bar_length(count, panel.ticks.back(), plot_height), top = panel.zero - length;
      canvas.fill(top, from, length, to - from, split_color(s));
      const int middle = (from + to) / 2, wide = Canvas::written_width(with_commas(count), small_size);
      if (panel.turned) {
        canvas.fill(top - 6 - wide, middle - 6, wide + 4, 12,
                    white);  // so that no grid line crosses the digits
        canvas.write(top - 4, middle, with_commas(count), {.size = small_size, .upwards = true});
      } else {
        canvas.fill(top - 15, middle - wide / 2 - 2, 12, wide + 4, white);
        canvas.write(top - 9, middle, with_commas(count), {.size = small_size, .align = Align::centre});
      }
    }
}

void draw_panel(Canvas& canvas, const SizePanel& panel, const std::string& title) {
  canvas.write(panel.top + 10, chart_margin, title, {.size = label_size + 2});
  draw_axes(canvas, panel);
  draw_bars(canvas, panel);
}

}  // namespace

Canvas size_chart(const SizeBins& shorter, const SizeBins& longer, const std::vector<std::string>& legend,
                  const std::string& note) {
  const std::string title = "Sizes of the images";
  if (shorter.edges.empty()) {
    Canvas empty(heading_height + 40, chart_width);
    draw_heading(empty, title, legend, note);
    empty.write(heading_height + 10, chart_margin, "no image can be read", {.size = label_size});
    return empty;
  }
  const SizePanel above = size_panel(shorter, heading_height),
                  below = size_panel(longer, bottom_of(above) + 10);
  Canvas canvas(bottom_of(below), chart_width);
  draw_heading(canvas, title, legend, note);
  draw_panel(canvas, above, "Shorter side");
  draw_panel(canvas, below, "Longer side");
  return canvas;
}

}  // namespace kindred
