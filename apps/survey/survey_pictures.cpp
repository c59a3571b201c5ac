#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/survey_pictures.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/views/augment.h>

#include <fmt/core.h>
#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <cmath>
#include <map>

namespace kindred {
namespace {

constexpr int page_margin = 16, text_line = Canvas::line_height;
constexpr std::array<Color, 2> split_colors{blue, orange};

// At most `most` of the numbers below `count`, evenly spread.
std::vector<std::size_t> few_of(std::size_t count, std::size_t most) {
  std::vector<std::size_t> chosen;
  const std::size_t shown = std::min(count, most);
  for (std::size_t i = 0; i < shown; ++i) chosen.push_back(i * count / shown);
  return chosen;
}

void draw_legend(Canvas& canvas, int top, int left, const std::vector<SplitSurvey>& splits) {
  for (std::size_t s = 0; s < splits.size(); ++s) {
    const std::string label = fmt::format("{} ({})", splits[s].name, splits[s].set.size());
    canvas.fill(top, left, 16, 16, split_colors[s % 2]);
    canvas.text(top, left + 22, label);
    left += 22 + Canvas::text_width(label) + 30;
  }
}

// The length of the bar for `value`; the bar for `largest` has the length `most`.
int scaled(std::int64_t value, std::int64_t largest, int most) {
  if (value == 0 || largest == 0) return 0;
  return std::max(1, static_cast<int>(value * most / largest));
}

struct Bars {
  std::string title;
  std::vector<std::string> labels;
  std::vector<std::vector<std::int64_t>> values;  // [labels][splits]
};

// Draws columns of bars upwards from the line `bottom`.
void draw_bars(Canvas& canvas, int top, int height, const Bars& bars) {
  const int left = page_margin, width = canvas.width() - 2 * page_margin, bottom = top + height;
  canvas.text(top, left, bars.title);
  std::int64_t largest = 1;
  for (const auto& values : bars.values)
    for (const std::int64_t value : values) largest = std::max(largest, value);
  canvas.fill(bottom, left, 2, width, black);
  const int slots = static_cast<int>(bars.values.size());
  const int room = height - 2 * text_line - 8;  // for bars, below the title and the number at the top
  for (int i = 0; i < slots; ++i) {
    const auto& values = bars.values[static_cast<std::size_t>(i)];
    const int from = left + width * i / slots, slot = left + width * (i + 1) / slots - from;
    const int parts = static_cast<int>(values.size()), bar = std::max(1, (slot - 6) / parts);
    for (int s = 0; s < parts; ++s) {
      const std::int64_t value = values[static_cast<std::size_t>(s)];
      const int length = scaled(value, largest, room), x = from + 3 + s * bar;
      canvas.fill(bottom - length, x, length, std::max(1, bar - 2),
                  split_colors[static_cast<std::size_t>(s) % 2]);
      const std::string number = fmt::format("{}", value);
      if (value > 0 && Canvas::text_width(number) + 2 <= bar)
        canvas.text(bottom - length - text_line, x + 2, number);
    }
    const std::string label = bars.labels[static_cast<std::size_t>(i)];
    if (Canvas::text_width(label) <= slot) canvas.text(bottom + 8, from + 3, label);
  }
}

// Bins by powers of the square root of two: 16, 23, 32, 45 ...
int bin_of(int side) {
  return std::max(0, static_cast<int>(std::floor(2 * std::log2(std::max(1, side)) + 1e-9)));
}
std::string bin_label(int bin) {
  return fmt::format("{}", static_cast<int>(std::ceil(std::exp2(bin / 2.0) - 1e-9)));
}

template <typename Side>
Bars side_bars(const std::vector<SplitSurvey>& splits, const std::string& title, const Side& side) {
  std::map<int, std::vector<std::int64_t>> bins;
  for (std::size_t s = 0; s < splits.size(); ++s)
    for (const SampleFinding& sample : splits[s].samples) {
      if (sample.outcome == Outcome::rejected) continue;
      auto& bin = bins[bin_of(side(sample))];
      bin.resize(splits.size());
      ++bin[s];
    }
  Bars bars{.title = title, .labels = {}, .values = {}};
  if (bins.empty()) return bars;
  for (int bin = bins.begin()->first; bin <= bins.rbegin()->first; ++bin) {
    if (bin == 1) continue;  // there is no integer between the root of 2 and 2
    auto& values = bins[bin];
    values.resize(splits.size());
    bars.labels.push_back(bin_label(bin));
    bars.values.push_back(values);
  }
  return bars;
}

// The first images of each class that can be decoded.
std::vector<std::vector<std::int64_t>> first_of_classes(const SplitSurvey& split, std::size_t most) {
  std::vector<std::vector<std::int64_t>> chosen(static_cast<std::size_t>(split.set.classes()));
  for (std::int64_t i = 0; i < split.set.size(); ++i) {
    auto& of_class = chosen[static_cast<std::size_t>(split.set.label(i))];
    if (of_class.size() < most && split.samples[static_cast<std::size_t>(i)].outcome != Outcome::rejected)
      of_class.push_back(i);
  }
  return chosen;
}

void paste_centred(Canvas& canvas, int top, int left, int cell, const Image& picture) {
  canvas.paste(top + (cell - picture.height) / 2, left + (cell - picture.width) / 2, picture);
}

}  // namespace

// One class per line, so that names of any length can be read.
void draw_class_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path) {
  const std::vector<std::string>& names = splits.front().set.class_names();
  const std::vector<std::size_t> shown = few_of(names.size(), 1000);
  const bool small = shown.size() > 60;
  const int bar = small ? 6 : 14, scale = small ? 1 : 2, line_of_name = scale * text_line / 2;
  const int row = std::max(bar * static_cast<int>(splits.size()), small ? line_of_name : 0) + (small ? 2 : 10);
  constexpr int name_width = 260, number_width = 90, width = 1100;
  Canvas canvas(3 * page_margin + 2 * text_line + row * static_cast<int>(shown.size()), width);
  canvas.text(page_margin, page_margin,
              fmt::format("images of each of the {} classes{}", names.size(),
                          shown.size() < names.size() ? fmt::format(", {} shown", shown.size()) : ""));
  draw_legend(canvas, page_margin + text_line, page_margin, splits);
  std::vector<std::vector<OutcomeCounts>> counts;
  std::int64_t largest = 1;
  for (const SplitSurvey& split : splits) {
    counts.push_back(split.counts_by_class());
    for (const OutcomeCounts& of_class : counts.back()) largest = std::max(largest, of_class.files());
  }
  int top = 2 * page_margin + 2 * text_line;
  for (const std::size_t c : shown) {
    canvas.text(top + row / 2 - line_of_name / 2, page_margin,
                Canvas::fitting(names[c], name_width - 10, scale), black, scale);
    std::vector<std::int64_t> numbers;
    int longest = 0;
    for (std::size_t s = 0; s < splits.size(); ++s) {
      const std::int64_t files = counts[s][c].files();
      const int y = top + static_cast<int>(s) * bar, left = page_margin + name_width;
      const int length = scaled(files, largest, width - 2 * page_margin - name_width - number_width);
      canvas.fill(y, left, bar - 1, length, split_colors[s % 2]);
      if (!small) canvas.text(y, left + length + 6, fmt::format("{}", files), black, 1);
      longest = std::max(longest, length);
      numbers.push_back(files);
    }
    if (small)
      canvas.text(top, page_margin + name_width + longest + 6, fmt::format("{}", fmt::join(numbers, " / ")),
                  black, 1);
    top += row;
  }
  canvas.save(path);
}

void draw_size_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path) {
  constexpr int panel = 300, gap = 60;
  Canvas canvas(2 * panel + 2 * gap + text_line + 3 * page_margin, 1100);
  draw_legend(canvas, page_margin, page_margin, splits);
  int top = page_margin + text_line + page_margin;
  draw_bars(canvas, top, panel,
            side_bars(splits, "images by shorter side: pixels, from the number below the bar on",
                      [](const SampleFinding& s) { return std::min(s.height, s.width); }));
  top += panel + gap;
  draw_bars(canvas, top, panel, side_bars(splits, "images by longer side", [](const SampleFinding& s) {
              return std::max(s.height, s.width);
            }));
  canvas.save(path);
}

void draw_contact_sheet(const SplitSurvey& split, const std::filesystem::path& path) {
  constexpr int cell = 96, gap = 6, columns = 10, name_width = 240;
  const auto images = first_of_classes(split, columns);
  const std::vector<std::size_t> shown = few_of(images.size(), 50);
  Canvas canvas(2 * page_margin + text_line + static_cast<int>(shown.size()) * (cell + gap),
                2 * page_margin + name_width + columns * (cell + gap));
  canvas.text(page_margin, page_margin,
              fmt::format("{}: the first images of {} of {} classes", split.name, shown.size(), images.size()));
  int top = page_margin + text_line;
  for (const std::size_t c : shown) {
    canvas.text(top + cell / 2 - 10, page_margin, Canvas::fitting(split.set.class_names()[c], name_width - 10));
    int left = page_margin + name_width;
    for (const std::int64_t i : images[c]) {
      canvas.fill(top, left, cell, cell, faint);
      paste_centred(canvas, top, left, cell, shrink_to(split.set.load(i).image, cell));
      if (split.samples[static_cast<std::size_t>(i)].outcome == Outcome::damaged)
        canvas.frame(top, left, cell, cell, 3, red);
      left += cell + gap;
    }
    top += cell + gap;
  }
  canvas.save(path);
}

namespace {

// Breaks the text after commas into lines of at most `width` pixels. A line without a suitable comma is longer.
std::vector<std::string> wrapped(const std::string& text, int width) {
  std::vector<std::string> lines(1);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto comma = text.find(", ", begin);
    const auto end = comma == std::string::npos ? text.size() : comma + 2;
    const std::string part = text.substr(begin, end - begin);
    if (!lines.back().empty() && Canvas::text_width(lines.back() + part) > width) lines.emplace_back("  ");
    lines.back() += part;
    begin = end;
  }
  return lines;
}

}  // namespace

void draw_views(const SplitSurvey& split, const std::vector<ViewGroup>& groups, std::uint64_t seed,
                const std::filesystem::path& path) {
  constexpr int gap = 6;
  int views = 0, largest = 64;
  for (const ViewGroup& group : groups) {
    views += group.count;
    largest = std::max(largest, group.size);
  }
  const int cell = std::min(largest, 224);
  const auto images = first_of_classes(split, 1);
  std::vector<std::int64_t> shown;
  for (const std::size_t c : few_of(images.size(), 12))
    if (!images[c].empty()) shown.push_back(images[c].front());
  int wanted = std::max(600, (views + 1) * (cell + gap) + gap);
  std::vector<std::string> titles;
  for (const ViewGroup& group : groups) {
    const std::string title =
        fmt::format("{} {}of {} pixels: {}", group.count, titles.empty() ? "views (after the image) " : "",
                    group.size, describe(group.recipe));
    for (const std::string& part : wrapped(title, wanted)) titles.push_back(part);
  }
  const int head = static_cast<int>(titles.size()) * text_line;
  for (const std::string& title : titles) wanted = std::max(wanted, Canvas::text_width(title));
  Canvas canvas(2 * page_margin + head + static_cast<int>(shown.size()) * (cell + gap),
                2 * page_margin + wanted);
  int top = page_margin;
  for (const std::string& title : titles) {
    canvas.text(top, page_margin, title);
    top += text_line;
  }
  AugmentScratch scratch;
  for (const std::int64_t i : shown) {
    const Image image = split.set.load(i).image;
    int left = page_margin;
    canvas.fill(top, left, cell, cell, faint);
    paste_centred(canvas, top, left, cell, shrink_to(image, cell));
    left += 2 * gap;
    std::uint32_t v = 0;
    for (const ViewGroup& group : groups) {
      for (int repeat = 0; repeat < group.count; ++repeat) {
        left += cell + gap;
        RandomStream random(seed, Purpose::augment, 0, static_cast<std::uint32_t>(i), v++);
        Image view(group.size, group.size);
        make_view(image, group.recipe, group.size, random, view.pixels.data(), scratch);
        paste_centred(canvas, top, left, cell, shrink_to(view, cell));
      }
    }
    top += cell + gap;
  }
  canvas.save(path);
}

}  // namespace kindred
