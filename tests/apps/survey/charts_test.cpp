// The charts of check_data, read back from their pixels.
#include <doctest/doctest.h>

#include <kindred/apps/survey/charts/chart_parts.h>
#include <kindred/apps/survey/charts/class_chart.h>
#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/charts/size_chart.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

namespace kindred {
namespace {

struct NoImages : SampleSource {
  std::string name(std::int64_t i) const override { return std::to_string(i); }
};

// A split whose samples have these sizes (height, width); {0, 0}: rejected.
SplitSurvey split_of(const std::string& name, const std::vector<std::pair<int, int>>& sizes) {
  Dataset set({"one"}, std::vector<std::int32_t>(sizes.size()), std::make_shared<NoImages>(), false);
  SplitSurvey split{.name = name, .set = set, .samples = {}};
  for (const auto& [height, width] : sizes) {
    SampleFinding& sample = split.samples.emplace_back();
    sample.outcome = height == 0 ? Outcome::rejected : Outcome::ok;
    sample.height = height;
    sample.width = width;
  }
  return split;
}

bool has_color(const Canvas& canvas, int y, int x, Color color) {
  return std::equal(color.begin(), color.end(), canvas.image().pixel(y, x));
}

// The bars of one colour, from the top to the bottom: for each its first row, and how many pixels of the row it fills.
std::vector<std::pair<int, int>> lying_bars(const Canvas& canvas, Color color) {
  std::vector<std::pair<int, int>> bars;
  bool inside = false;
  for (int y = heading_height; y < canvas.height(); ++y) {
    int length = 0;
    for (int x = 0; x < canvas.width(); ++x) length += has_color(canvas, y, x, color);
    if (length > 0 && !inside) bars.emplace_back(y, length);
    inside = length > 0;
  }
  return bars;
}

// The bars of one colour in these rows, from the left to the right: how high each is.
std::vector<int> standing_bars(const Canvas& canvas, int top, int bottom, Color color) {
  std::vector<int> bars;
  bool inside = false;
  for (int x = 0; x < canvas.width(); ++x) {
    int height = 0;
    for (int y = top; y < bottom; ++y) height += has_color(canvas, y, x, color);
    if (height > 0 && !inside) bars.push_back(height);
    inside = height > 0;
  }
  return bars;
}

ClassCounts random_counts(std::mt19937& random, std::size_t classes, std::size_t splits) {
  ClassCounts counts;
  for (std::size_t c = 0; c < classes; ++c) counts.names.push_back("class " + std::to_string(c));
  for (std::size_t s = 0; s < splits; ++s) {
    counts.splits.push_back(s == 0 ? "train" : "evaluation");
    std::vector<std::int64_t>& files = counts.files.emplace_back();
    for (std::size_t c = 0; c < classes; ++c) files.push_back(1 + static_cast<std::int64_t>(random() % 3000));
  }
  return counts;
}

// Whether something is written at the left of the axis, in the rows of a class.
bool has_name(const Canvas& canvas, int top, int bottom) {
  int letters = 0;
  for (int y = top; y < bottom; ++y)
    for (int x = 0; x < chart_margin + 20 + 300; ++x) {
      if (has_color(canvas, y, x, split_color(0)) || has_color(canvas, y, x, split_color(1))) break;
      letters += canvas.image().pixel(y, x)[2] < 120;
    }
  return letters > 2 * (bottom - top);  // more than the axis alone
}

TEST_CASE("charts: ticks are round, equal and enough") {
  std::mt19937_64 random(2);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    const auto largest = static_cast<std::int64_t>(random() % (std::uint64_t{1} << (1 + random() % 40)));
    const int most = 2 + static_cast<int>(random() % 9);
    CAPTURE(largest);
    const std::vector<std::int64_t> ticks = round_ticks(largest, most);
    REQUIRE(ticks.size() >= 2);
    REQUIRE(static_cast<int>(ticks.size()) - 1 <= most);
    REQUIRE(ticks.front() == 0);
    REQUIRE(ticks.back() >= largest);
    REQUIRE(ticks[ticks.size() - 2] < std::max<std::int64_t>(1, largest));
    std::int64_t step = ticks[1];
    for (std::size_t i = 0; i < ticks.size(); ++i) REQUIRE(ticks[i] == static_cast<std::int64_t>(i) * step);
    while (step % 10 == 0) step /= 10;
    REQUIRE((step == 1 || step == 2 || step == 5));
  }
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(1281167) == "1,281,167");
  CHECK(with_commas(-123456) == "-123,456");
}

TEST_CASE("charts: every readable image is in one bin of sizes, by its shorter and by its longer side") {
  std::mt19937 random(4);
  for (int repeat = 0; repeat < 60; ++repeat) {
    const int least = 1 + static_cast<int>(random() % 300), range = 1 << (random() % 15);
    std::vector<SplitSurvey> splits;
    for (const char* name : {"train", "evaluation"}) {
      std::vector<std::pair<int, int>> sizes;
      for (int i = 0; i < 200; ++i)
        sizes.emplace_back(least + static_cast<int>(random() % static_cast<unsigned>(range)),
                           least + static_cast<int>(random() % static_cast<unsigned>(range)));
      for (int i = 0; i < 20; ++i) sizes.emplace_back(0, 0);
      splits.push_back(split_of(name, sizes));
    }
    for (const Side side : {Side::shorter, Side::longer}) {
      const SizeBins bins = count_sides(splits, side, most_size_bins);
      REQUIRE(std::ranges::is_sorted(bins.edges, std::ranges::less_equal()));
      REQUIRE(bins.edges.size() - 1 <= most_size_bins);
      for (std::size_t s = 0; s < splits.size(); ++s) {
        std::int64_t sum = 0;
        for (std::size_t b = 0; b + 1 < bins.edges.size(); ++b) {
          std::int64_t expected = 0;
          for (const SampleFinding& sample : splits[s].samples) {
            const int pixels = side == Side::shorter ? std::min(sample.height, sample.width)
                                                     : std::max(sample.height, sample.width);
            expected +=
                sample.outcome != Outcome::rejected && bins.edges[b] <= pixels && pixels < bins.edges[b + 1];
          }
          REQUIRE(bins.counts[s][b] == expected);
          sum += expected;
        }
        REQUIRE(sum == 200);
      }
      for (const int edge : bins.edges) {  // round: at most two digits and zeros where the bins are wide
        int digits = edge;
        while (digits % 10 == 0 && digits > 0) digits /= 10;
        REQUIRE((!bins.logarithmic || digits < 100));
      }
    }
  }
}

TEST_CASE("charts: the edges of bins are those that one expects") {
  CHECK(bins_between(60, 900, 16).edges == std::vector<int>{50, 70, 100, 150, 200, 300, 500, 700, 1000});
  CHECK(bins_between(60, 900, 16).logarithmic);
  CHECK(bins_between(1, 9, 16).edges == std::vector<int>{1, 2, 3, 5, 7, 10});
  CHECK(bins_between(375, 500, 16).edges.front() == 370);
  CHECK(bins_between(375, 500, 16).edges.back() == 510);
  const SizeBins same = bins_between(32, 32, 16);  // one size: the axis has its neighbours
  CHECK(same.edges == std::vector<int>{29, 30, 31, 32, 33, 34, 35, 36});
  CHECK(same.single_values());
  CHECK(sides_of_bin(same, 3) == "32");
  CHECK(sides_of_bin(bins_between(60, 900, 16), 4) == "200 to 299");
  CHECK(bins_between(1, 1, 16).edges.front() == 1);
  for (const int most : {1, 10, 1000, 65535})
    for (const int least : {1, 7, 500})
      if (least <= most) CHECK(bins_between(least, most, 16).edges.size() <= 17);
}

TEST_CASE("charts: the bars of classes are as long as the classes are large") {
  std::mt19937 random(6);
  for (const std::size_t classes : {1, 3, 30, 90})
    for (const std::size_t splits : {1, 2}) {
      const ClassCounts counts = random_counts(random, classes, splits);
      const Canvas canvas = class_chart(counts);
      std::int64_t largest = 0;
      for (const auto& files : counts.files) largest = std::max(largest, std::ranges::max(files));
      int longest = 0;
      for (std::size_t s = 0; s < splits; ++s)
        for (const auto& [top, length] : lying_bars(canvas, split_color(s)))
          longest = std::max(longest, length);
      CHECK(longest > 300);
      for (std::size_t s = 0; s < splits; ++s) {
        const auto bars = lying_bars(canvas, split_color(s));
        REQUIRE(bars.size() == classes);
        for (std::size_t c = 0; c < classes; ++c) {
          const double expected =
              static_cast<double>(counts.files[s][c]) * longest / static_cast<double>(largest);
          CHECK(std::abs(bars[c].second - std::max(1.0, expected)) <= 1.5);
        }
      }
    }
}

TEST_CASE("charts: each class has its name in its row, whatever it is called") {
  std::mt19937 random(7);
  ClassCounts counts = random_counts(random, 40, 2);
  counts.names[3] = std::string(300, 'w');
  counts.names[4] = "漢字的类别 😀";
  counts.names[5] = "\xFF\xFE\xC0";
  counts.names[6] = "";
  counts.names[7] = "<b>\"&'\n\t";
  const Canvas canvas = class_chart(counts);
  const auto bars = lying_bars(canvas, split_color(0));
  REQUIRE(bars.size() == 40);
  const int row = bars[1].first - bars[0].first;
  for (std::size_t c = 0; c < 40; ++c) {
    CAPTURE(c);
    CHECK(has_name(canvas, bars[c].first, bars[c].first + row - 5) == (c != 6));
  }
  for (int y = 0; y < canvas.height(); ++y)  // no name hangs over the edge
    for (int x = 0; x < chart_margin - 2; ++x) REQUIRE(has_color(canvas, y, x, white));
}

TEST_CASE("charts: of many classes the largest and the smallest are drawn, and the picture stays small") {
  std::mt19937 random(9);
  const ClassCounts counts = random_counts(random, 1000, 2);
  const ShownClasses shown = classes_to_show(counts, most_classes_in_chart);
  std::vector<std::int64_t> sorted = counts.files.front(), first, last;
  std::ranges::sort(sorted, std::greater());
  for (const std::size_t c : shown.first) first.push_back(counts.files.front()[c]);
  for (const std::size_t c : shown.last) last.push_back(counts.files.front()[c]);
  CHECK(first == std::vector<std::int64_t>(sorted.begin(), sorted.begin() + 50));
  CHECK(last == std::vector<std::int64_t>(sorted.end() - 50, sorted.end()));
  const Canvas canvas = class_chart(counts);
  CHECK(canvas.height() < 3500);
  CHECK(lying_bars(canvas, split_color(0)).size() == 100);
  CHECK(classes_to_show(random_counts(random, 100, 1), most_classes_in_chart).first.size() == 100);
  CHECK(classes_to_show(random_counts(random, 100, 1), most_classes_in_chart).last.empty());
}

TEST_CASE("charts: the bars of sizes are as high as there are images") {
  std::mt19937 random(10);
  std::vector<std::pair<int, int>> sizes;
  for (int i = 0; i < 900; ++i) {
    const int side = 100 + 10 * static_cast<int>(random() % (1 + random() % 12));
    sizes.emplace_back(side, side);
  }
  const std::vector<SplitSurvey> splits{split_of("train", sizes)};
  const SizeBins bins = count_sides(splits, Side::shorter, most_size_bins);
  const Canvas canvas = size_chart(bins, bins, {"train: 900"}, "");
  const std::vector<int> bars =
      standing_bars(canvas, heading_height, canvas.height() / 2 + heading_height / 2 - 20, split_color(0));
  std::vector<std::int64_t> filled;
  for (const std::int64_t count : bins.counts[0])
    if (count > 0) filled.push_back(count);
  REQUIRE(bars.size() == filled.size());
  const int highest = std::ranges::max(bars);
  CHECK(highest > 100);
  for (std::size_t b = 0; b < bars.size(); ++b) {
    const double expected =
        static_cast<double>(filled[b]) * highest / static_cast<double>(std::ranges::max(filled));
    CHECK(std::abs(bars[b] - expected) <= 1.5);
  }
  const SizeBins none = count_sides({split_of("train", {{0, 0}})}, Side::longer, most_size_bins);
  CHECK(none.edges.empty());
  CHECK(size_chart(none, none, {"train: 0"}, "1 unreadable image is not counted").height() > 0);
}

}  // namespace
}  // namespace kindred
