#include <kindred/apps/survey/charts/chart_parts.h>
#include <kindred/apps/survey/charts/class_chart.h>
#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/lettering.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr int most_name_width = 300, many_rows = 40, axis_height = 24, gap_row = 34;

struct ClassLayout {
  int left = 0, length = 0;  // of the bars' room
  int bar = 0, row = 0;      // heights
  int top = 0, bottom = 0;   // of the first and below the last row
  std::vector<std::int64_t> ticks{};

  int x_of(std::int64_t value) const { return left + bar_length(value, ticks.back(), length); }
};

std::int64_t largest_count(const ClassCounts& counts) {
  std::int64_t largest = 0;
  for (const auto& of_split : counts.files)
    for (const std::int64_t files : of_split) largest = std::max(largest, files);
  return largest;
}

ClassLayout class_layout(const ClassCounts& counts, const ShownClasses& shown) {
  int names = 0;
  for (const auto* group : {&shown.first, &shown.last})
    for (const std::size_t c : *group)
      names = std::max(
          names, Canvas::written_width(fitting_line(counts.names[c], most_name_width, label_size), label_size));
  const std::int64_t largest = largest_count(counts);
  const int rows = static_cast<int>(shown.first.size() + shown.last.size()),
            splits = static_cast<int>(counts.splits.size());
  ClassLayout layout{.ticks = round_ticks(largest, 8)};
  layout.left = chart_margin + names + 10;
  layout.length =
      chart_width - chart_margin - layout.left - Canvas::written_width(with_commas(largest), small_size) - 8;
  layout.bar = rows > many_rows ? 11 : 14;
  layout.row = layout.bar * splits + (rows > many_rows ? 5 : 9);
  layout.top = heading_height + axis_height;
  layout.bottom = layout.top + rows * layout.row + (shown.last.empty() ? 0 : gap_row);
  return layout;
}

void draw_axis(Canvas& canvas, const ClassLayout& layout) {
  for (const std::int64_t tick : layout.ticks) {
    const int x = layout.x_of(tick);
    canvas.fill(layout.top, x, layout.bottom - layout.top, 1, faint);
    for (const int y : {layout.top - axis_height / 2, layout.bottom + axis_height / 2})
      canvas.write(y, x, with_commas(tick), {.size = small_size, .color = muted, .align = Align::centre});
  }
}

void draw_class(Canvas& canvas, const ClassLayout& layout, const ClassCounts& counts, std::size_t c, int top) {
  const int splits = static_cast<int>(counts.splits.size());
  canvas.write(top + layout.bar * splits / 2, layout.left - 10,
               fitting_line(counts.names[c], most_name_width, label_size),
               {.size = label_size, .align = Align::right});
  for (int s = 0; s < splits; ++s) {
    const std::int64_t files = counts.files[static_cast<std::size_t>(s)][c];
    const int y = top + s * layout.bar, end = layout.x_of(files);
    canvas.fill(y, layout.left, layout.bar - 1, end - layout.left, split_color(static_cast<std::size_t>(s)));
    const std::string number = with_commas(files);
    // So that a grid line does not cross the digits.
    canvas.fill(y, end + 1, layout.bar - 1, Canvas::written_width(number, small_size) + 7, white);
    canvas.write(y + layout.bar / 2 - 1, end + 5, number,
                 {.size = layout.bar < 14 ? small_size - 1 : small_size});
  }
}

std::string class_title(const ClassCounts& counts, const ShownClasses& shown) {
  if (!shown.last.empty())
    return fmt::format("Images of each class: the {} largest and the {} smallest of {}", shown.first.size(),
                       shown.last.size(), with_commas(static_cast<std::int64_t>(counts.names.size())));
  return fmt::format("Images of each class");
}

}  // namespace

Canvas class_chart(const ClassCounts& counts) {
  const ShownClasses shown = classes_to_show(counts, most_classes_in_chart);
  const ClassLayout layout = class_layout(counts, shown);
  Canvas canvas(layout.bottom + axis_height + chart_margin, chart_width);
  std::vector<std::string> legend;
  for (std::size_t s = 0; s < counts.splits.size(); ++s)
    legend.push_back(fmt::format("{}: {}", counts.splits[s], with_commas(counts.of_split(s))));
  draw_heading(canvas, class_title(counts, shown), legend, "");
  draw_axis(canvas, layout);
  int top = layout.top + 3;
  for (const std::size_t c : shown.first) {
    draw_class(canvas, layout, counts, c, top);
    top += layout.row;
  }
  if (!shown.last.empty()) {
    const std::size_t left_out = counts.names.size() - shown.first.size() - shown.last.size();
    const std::vector<std::int64_t>& files = counts.files.front();
    canvas.fill(top - 2, chart_margin, gap_row, chart_width - 2 * chart_margin, white);
    canvas.write(
        top + gap_row / 2 - 4, layout.left,
        fmt::format("{} classes with {} to {} images in {} are left out here; --json FILE lists every class",
                    with_commas(static_cast<std::int64_t>(left_out)), with_commas(files[shown.last.front()]),
                    with_commas(files[shown.first.back()]), counts.splits.front()),
        {.size = label_size, .color = muted});
    top += gap_row;
  }
  for (const std::size_t c : shown.last) {
    draw_class(canvas, layout, counts, c, top);
    top += layout.row;
  }
  canvas.fill(layout.top, layout.left - 1, layout.bottom - layout.top, 1, black);
  return canvas;
}

}  // namespace kindred
