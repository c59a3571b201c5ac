// Duplicates, outliers and doubtful labels: on rows whose answer is known by hand, and on random ones against plain loops.
#include "../../errors.h"

#include <kindred/apps/analysis/duplicates.h>
#include <kindred/apps/analysis/mislabeled.h>
#include <kindred/apps/analysis/outliers.h>
#include <kindred/engine/random/philox.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace kindred {
namespace {

// A table of n images; the findings look at neighbours, labels and parts, and not at features.
ImageTable plain_table(std::size_t n, std::vector<std::int32_t> labels = {},
                       std::vector<std::int32_t> parts = {}) {
  ImageTable table;
  table.dim = 1;
  table.features.assign(n, 1);
  for (std::size_t i = 0; i < n; ++i) table.paths.push_back("image " + std::to_string(i));
  table.labels = std::move(labels);
  for (std::int32_t c = 0; !table.labels.empty() && c <= *std::ranges::max_element(table.labels); ++c)
    table.classes.push_back("class " + std::to_string(c));
  table.parts_of = parts.empty() ? std::vector<std::int32_t>(n, 0) : std::move(parts);
  table.parts = {"train", "val"};
  return table;
}

// The k nearest others by a matrix of cosines.
Neighbours neighbours_by(const std::vector<std::vector<float>>& cosine, std::int64_t k) {
  Neighbours others{.each = k};
  for (std::size_t a = 0; a < cosine.size(); ++a) {
    std::vector<std::pair<float, std::int32_t>> order;
    for (std::size_t b = 0; b < cosine.size(); ++b)
      if (a != b) order.emplace_back(-cosine[a][b], static_cast<std::int32_t>(b));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
      others.rows.push_back(order[i].second);
      others.similarity.push_back(-order[i].first);
    }
  }
  return others;
}

std::vector<std::vector<float>> all_at(std::size_t n, float cosine) {
  return std::vector(n, std::vector<float>(n, cosine));
}

void set_both(std::vector<std::vector<float>>& cosine, std::size_t a, std::size_t b, float value) {
  cosine[a][b] = cosine[b][a] = value;
}

TEST_CASE("duplicates: pairs above the cosine, and the groups that they connect") {
  auto cosine = all_at(8, 0.2f);
  set_both(cosine, 1, 5, 0.99f);
  set_both(cosine, 5, 7, 0.97f);  // 1 and 7 are connected by 5
  set_both(cosine, 0, 3, 1);
  set_both(cosine, 2, 4, 0.94f);
  const ImageTable table = plain_table(8, {0, 1, 0, 0, 2, 1, 2, 2}, {0, 0, 0, 0, 0, 0, 0, 1});
  const Duplicates found = find_duplicates(table, neighbours_by(cosine, 3), 0.95f);
  REQUIRE(found.pairs.size() == 3);
  CHECK(found.pairs[0].a == 0);
  CHECK(found.pairs[0].b == 3);
  CHECK(found.pairs[0].cosine == 1);
  CHECK(found.pairs[1].a == 1);
  CHECK(found.pairs[1].b == 5);
  CHECK(found.pairs[2].a == 5);
  CHECK(found.pairs[2].b == 7);
  REQUIRE(found.groups.size() == 2);
  CHECK(found.groups[0].rows == std::vector<std::int32_t>{1, 5, 7});
  CHECK(found.groups[0].crosses_parts);
  CHECK(found.groups[0].crosses_classes);
  CHECK(found.groups[0].least == 0.97f);
  CHECK(found.groups[0].most == 0.99f);
  CHECK(found.groups[1].rows == std::vector<std::int32_t>{0, 3});
  CHECK(!found.groups[1].crosses_parts);
  CHECK(!found.groups[1].crosses_classes);
  CHECK(found.images == 5);
  CHECK(found.crossing_parts == 1);
  CHECK(found.crossing_classes == 1);
  CHECK(found.cut_off == 0);
  CHECK(find_duplicates(table, neighbours_by(cosine, 3), 0.9f).groups.size() == 3);
  // The same without classes, and as if all were of one part.
  const Duplicates plain = find_duplicates(plain_table(8), neighbours_by(cosine, 3), 0.95f);
  CHECK(plain.groups.size() == 2);
  CHECK(plain.crossing_parts == 0);
  CHECK(plain.crossing_classes == 0);
}

TEST_CASE("duplicates: a group may cross parts, or classes, or both, or neither") {
  // Pairs 0-1, 2-3, 4-5 and 6-7.
  auto cosine = all_at(8, 0.1f);
  for (std::size_t a = 0; a < 8; a += 2) set_both(cosine, a, a + 1, 0.99f);
  ImageTable table = plain_table(8, {0, 0, 0, 1, 0, 1, 1, 1});
  table.parts = {"train", "val"};
  table.parts_of = {0, 1, 0, 0, 0, 1, 1, 1};
  const Duplicates found = find_duplicates(table, neighbours_by(cosine, 3), 0.9f);
  REQUIRE(found.groups.size() == 4);
  for (const DuplicateGroup& group : found.groups) {
    const std::int32_t first = group.rows.front();
    CHECK(group.crosses_parts == (first == 0 || first == 4));
    CHECK(group.crosses_classes == (first == 2 || first == 4));
  }
  CHECK(found.crossing_parts == 2);
  CHECK(found.crossing_classes == 2);
  // An image without a class crosses none.
  table.labels = {-1, 0, -1, 1, 0, 1, -1, -1};
  const Duplicates some = find_duplicates(table, neighbours_by(cosine, 3), 0.9f);
  CHECK(some.crossing_classes == 1);
}

TEST_CASE("duplicates: a threshold of 1 finds copies whose features were rounded, and no others") {
  auto cosine = all_at(5, 0.5f);
  set_both(cosine, 0, 1, 0.9999995f);
  set_both(cosine, 2, 3, 0.9999f);
  const Duplicates found = find_duplicates(plain_table(5), neighbours_by(cosine, 2), 1);
  REQUIRE(found.groups.size() == 1);
  CHECK(found.groups[0].rows == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("duplicates: all images equal are one group, which is said to be cut off") {
  const Duplicates found = find_duplicates(plain_table(50), neighbours_by(all_at(50, 1), 3), 0.99f);
  REQUIRE(found.groups.size() == 1);
  CHECK(found.groups[0].rows.size() == 50);
  CHECK(found.images == 50);
  CHECK(found.cut_off == 50);
  CHECK(find_duplicates(plain_table(4), neighbours_by(all_at(4, 1), 3), 0.99f).cut_off ==
        0);  // there are no further ones
}

TEST_CASE("duplicates: random cosines, against groups by plain search") {
  RandomStream random(34, Purpose::test);
  const std::size_t n = 60;
  auto cosine = all_at(n, 0);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < a; ++b) set_both(cosine, a, b, random.uniform());
  const float threshold = 0.98f;
  std::vector<int> group(n, -1);  // by flooding
  int groups = 0;
  std::int64_t images = 0;
  for (std::size_t start = 0; start < n; ++start) {
    if (group[start] >= 0) continue;
    std::vector<std::size_t> open = {start};
    group[start] = groups;
    std::int64_t size = 0;
    while (!open.empty()) {
      const std::size_t a = open.back();
      open.pop_back();
      ++size;
      for (std::size_t b = 0; b < n; ++b)
        if (b != a && cosine[a][b] >= threshold && group[b] < 0) {
          group[b] = groups;
          open.push_back(b);
        }
    }
    if (size > 1) images += size;
    ++groups;
  }
  const Duplicates found =
      find_duplicates(plain_table(n), neighbours_by(cosine, static_cast<std::int64_t>(n) - 1), threshold);
  CHECK(found.images == images);
  REQUIRE(found.groups.size() > 3);
  std::set<int> seen;
  for (const DuplicateGroup& one : found.groups) {
    for (const std::int32_t row : one.rows)
      CHECK(group[static_cast<std::size_t>(row)] == group[static_cast<std::size_t>(one.rows.front())]);
    CHECK(seen.insert(group[static_cast<std::size_t>(one.rows.front())]).second);
  }
}

TEST_CASE("duplicates: thresholds out of range") {
  const Neighbours others = neighbours_by(all_at(3, 0), 2);
  for (const float threshold : {0.0f, -1.0f, 1.01f, std::nanf("")})
    CHECK(test::code_of([&] { find_duplicates(plain_table(3), others, threshold); }) == ExitCode::usage);
}

TEST_CASE("outliers: ranked by the k-th nearest, or by the mean of k, with their distance from the median") {
  // Nearest others at these distances, two for each of five images.
  Neighbours others{.each = 2};
  others.rows = {1, 2, 0, 2, 0, 1, 0, 1, 0, 1};
  others.similarity = {0.9f, 0.8f, 0.9f, 0.7f, 0.8f, 0.6f, 0.1f, 0.0f, 0.95f, 0.5f};
  const Outliers kth = rank_outliers(others);  // 0.2 0.3 0.4 1.0 0.5: median 0.4, deviations 0.2 0.1 0 0.6 0.1
  std::vector<std::int32_t> rows;
  for (const Outlier& one : kth.ranked) rows.push_back(one.row);
  CHECK(rows == std::vector<std::int32_t>{3, 4, 2, 1, 0});
  CHECK(kth.median == doctest::Approx(0.4));
  CHECK(kth.scale == doctest::Approx(0.14826));
  CHECK(kth.ranked[0].distance == doctest::Approx(1));
  CHECK(kth.ranked[0].z == doctest::Approx(0.6 / 0.14826));
  CHECK(kth.ranked[4].z == doctest::Approx(-0.2 / 0.14826));
  const Outliers mean = rank_outliers(others, OutlierScore::mean);  // 0.15 0.2 0.3 0.95 0.275
  CHECK(mean.median == doctest::Approx(0.275));
  CHECK(mean.ranked[0].row == 3);
  CHECK(mean.ranked[1].row == 2);
  CHECK(mean.ranked[0].distance == doctest::Approx(0.95));
}

TEST_CASE("outliers: where most distances are equal, and where all are") {
  Neighbours others{.each = 1};
  others.rows = {1, 0, 0, 0};
  others.similarity = {0.5f, 0.5f, 0.5f, 0.1f};
  const Outliers one = rank_outliers(others);  // the median deviation is 0, their mean 0.1
  CHECK(one.scale == doctest::Approx(1.2533 * 0.1));
  CHECK(one.ranked[0].row == 3);
  CHECK(one.ranked[0].z == doctest::Approx(0.4 / (1.2533 * 0.1)));
  others.similarity = {1, 1, 1, 1};
  const Outliers equal = rank_outliers(others);
  CHECK(equal.scale == 0);
  for (std::int32_t row = 0; row < 4; ++row) {
    CHECK(equal.ranked[static_cast<std::size_t>(row)].row == row);
    CHECK(equal.ranked[static_cast<std::size_t>(row)].z == 0);
  }
  CHECK(test::code_of([] { rank_outliers(Neighbours{.each = 3}); }) == ExitCode::data);
}

TEST_CASE("doubtful labels: votes are weighted, and the image itself has none") {
  Neighbours others{.each = 3};
  others.rows = {1, 2, 3, 2, 0, 3, 1, 0, 3, 0, 1, 2};
  others.similarity = {0.9f, 0.88f, 0.5f, 0.93f, 0.9f, 0.5f, 0.93f, 0.88f, 0.5f, 0.5f, 0.5f, 0.5f};
  const ImageTable table = plain_table(4, {0, 1, 1, 0});
  const LabelDoubts doubts = rank_label_doubts(table, others);
  const auto weight = [](double cosine) { return std::exp(cosine / 0.07); };
  // Image 0: 1 and 2 vote for class 1, and 3 for its own.
  const double of_zero = weight(0.9) + weight(0.88), sum = of_zero + weight(0.5);
  CHECK(doubts.contradicted == 2);  // images 0, and 3, whose others are at the same distance: two to one
  CHECK(doubts.ranked[0].row == 0);
  CHECK(doubts.ranked[0].label == 0);
  CHECK(doubts.ranked[0].rival == 1);
  CHECK(doubts.ranked[0].rival_share == doctest::Approx(of_zero / sum).epsilon(1e-4));
  CHECK(doubts.ranked[0].own_share == doctest::Approx(weight(0.5) / sum).epsilon(1e-3));
  CHECK(doubts.ranked[0].other_share == doctest::Approx(of_zero / sum).epsilon(1e-4));
  CHECK(doubts.ranked[1].row == 3);
  CHECK(doubts.ranked[1].margin() == doctest::Approx(1.0 / 3).epsilon(1e-5));
  CHECK(!doubts.ranked[2].is_contradicted());
}

TEST_CASE("doubtful labels: a copy with the same label outvotes the others, unless copies are silent") {
  Neighbours others{.each = 3};
  others.rows = {1, 2, 3, 0, 2, 3, 3, 0, 1, 2, 0, 1};
  others.similarity = {1, 0.8f, 0.8f, 1, 0.8f, 0.8f, 1, 0.8f, 0.8f, 1, 0.8f, 0.8f};
  // 0 and 1 are copies, labelled 0; 2 and 3 are copies, labelled 1 and 0.
  const ImageTable table = plain_table(4, {0, 0, 1, 0});
  const auto of = [](const LabelDoubts& doubts, std::int32_t row) {
    return *std::ranges::find(doubts.ranked, row, &LabelDoubt::row);
  };
  const LabelDoubts all = rank_label_doubts(table, others);
  CHECK(of(all, 0).own_share > 0.9);
  CHECK(of(all, 0).voters == 3);
  const LabelDoubts silent = rank_label_doubts(table, others, {.silent_above = 0.999f});
  CHECK(of(silent, 0).voters == 2);
  CHECK(of(silent, 0).own_share == doctest::Approx(0.5).epsilon(1e-5));
  CHECK(of(silent, 2).voters == 3);  // its copy has another label, and that is evidence
  CHECK(of(silent, 2).rival_share > 0.9);
  // Nobody is left to vote.
  const LabelDoubts none = rank_label_doubts(plain_table(4, {0, 0, 0, 0}), others, {.silent_above = 0.5f});
  CHECK(none.contradicted == 0);
  CHECK(none.ranked[0].voters == 0);
  CHECK(none.ranked[0].rival == -1);
}

TEST_CASE("doubtful labels: planted in three clusters they come first, and shares are those of plain loops") {
  RandomStream random(35, Purpose::test);
  const std::size_t n = 90;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < n; ++i) labels.push_back(static_cast<std::int32_t>(i % 3));
  auto cosine = all_at(n, 0);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < a; ++b)
      set_both(cosine, a, b, a % 3 == b % 3 ? 0.7f + 0.1f * random.uniform() : 0.3f + 0.1f * random.uniform());
  const std::set<std::int32_t> planted = {4, 33, 60, 77};
  for (const std::int32_t row : planted) labels[static_cast<std::size_t>(row)] = (row + 1) % 3;
  const Neighbours others = neighbours_by(cosine, 10);
  const LabelDoubts doubts = rank_label_doubts(plain_table(n, labels), others);
  CHECK(doubts.contradicted == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(planted.contains(doubts.ranked[i].row));
    CHECK(doubts.ranked[i].rival == doubts.ranked[i].row % 3);
  }
  for (const LabelDoubt& doubt : doubts.ranked) {
    std::map<std::int32_t, double> votes;
    double sum = 0;
    for (std::size_t i = 0; i < 10; ++i) {
      const double weight = std::exp(double(others.similarity_of(doubt.row)[i]) / 0.07);
      votes[labels[static_cast<std::size_t>(others.rows_of(doubt.row)[i])]] += weight;
      sum += weight;
    }
    CHECK(doubt.own_share == doctest::Approx(votes[doubt.label] / sum).epsilon(1e-4));
    CHECK(doubt.rival != doubt.label);
    double most = 0;
    for (const auto& [label, weight] : votes)
      if (label != doubt.label) most = std::max(most, weight);
    CHECK(doubt.rival_share == doctest::Approx(most / sum).epsilon(1e-4));
    if (doubt.rival >= 0) CHECK(doubt.rival_share == doctest::Approx(votes[doubt.rival] / sum).epsilon(1e-4));
  }
  for (std::size_t i = 1; i < n; ++i) CHECK(doubts.ranked[i].margin() <= doubts.ranked[i - 1].margin());
}

TEST_CASE("doubtful labels: an image without a class is not doubted and has no vote") {
  const Neighbours others = neighbours_by(all_at(6, 0.5f), 5);
  const LabelDoubts doubts = rank_label_doubts(plain_table(6, {0, 1, 1, -1, -1, -1}), others);
  REQUIRE(doubts.ranked.size() == 3);
  CHECK(doubts.contradicted == 1);
  CHECK(doubts.ranked[0].row == 0);
  CHECK(doubts.ranked[0].rival == 1);
  for (const LabelDoubt& doubt : doubts.ranked) CHECK(doubt.voters == 2);
  CHECK(doubts.ranked[1].own_share == doctest::Approx(0.5));
}

TEST_CASE("doubtful labels: images without classes, and options out of range") {
  const Neighbours others = neighbours_by(all_at(3, 0), 2);
  CHECK(test::code_of([&] { rank_label_doubts(plain_table(3), others); }) == ExitCode::data);
  CHECK(test::code_of([&] {
          rank_label_doubts(plain_table(3, {0, 0, 1}), others, {.silent_above = 2});
        }) == ExitCode::usage);
  CHECK(test::code_of([&] {
          rank_label_doubts(plain_table(3, {0, 0, 1}), others, {.silent_above = std::nanf("")});
        }) == ExitCode::usage);
}

}  // namespace
}  // namespace kindred
