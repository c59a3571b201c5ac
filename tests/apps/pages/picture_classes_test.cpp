// The classes of a map as a picture shows them: none silently looks as another.
#include <kindred/apps/pages/picture_classes.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace kindred {
namespace {

ImageTable table_with(const std::vector<std::int32_t>& labels, int classes) {
  ImageTable table;
  table.labels = labels;
  for (int c = 0; c < classes; ++c) table.classes.push_back("class " + std::to_string(c));
  table.paths.resize(labels.size());
  return table;
}

std::vector<std::int32_t> random_labels(std::size_t rows, int least, int classes, unsigned seed) {
  std::mt19937 dice(seed);
  std::vector<std::int32_t> labels;
  for (std::size_t r = 0; r < rows; ++r)
    labels.push_back(least + static_cast<std::int32_t>(dice() % static_cast<unsigned>(classes - least)));
  return labels;
}

TEST_CASE("pages: as many classes as a picture has looks keep their own") {
  for (const int classes : {1, 5, 32}) {
    CAPTURE(classes);
    const ImageTable table = table_with(random_labels(500, 0, classes, 1), classes);
    const PictureClasses shown = picture_classes(table, 32);
    CHECK(shown.labels == table.labels);
    CHECK(shown.names == table.classes);
    CHECK(shown.note().empty());
  }
  CHECK(picture_classes(table_with({}, 0), 32).names.empty());
}

TEST_CASE("pages: beyond the looks of a picture the largest classes keep theirs, and the others share one") {
  for (const int least : {0, -1}) {
    CAPTURE(least);
    const int classes = 100;
    const ImageTable table = table_with(random_labels(1500, least, classes, 2), classes);
    const PictureClasses shown = picture_classes(table, 32);
    const std::int64_t own = least < 0 ? 30 : 31;
    REQUIRE(shown.names.size() == 32);
    CHECK(shown.own == own);
    CHECK(shown.shared == classes - own);
    CHECK(std::set<std::string>(shown.names.begin(), shown.names.end()).size() == 32);
    CHECK(shown.names[static_cast<std::size_t>(own)] == std::to_string(classes - own) + " other classes");
    CHECK(shown.note().starts_with("the " + std::to_string(own) + " largest of 100 classes have "));
    std::map<std::int32_t, int> images;
    for (const std::int32_t label : table.labels) ++images[label];
    int least_own = 1 << 20, most_shared = 0;
    REQUIRE(shown.labels.size() == table.labels.size());
    for (std::size_t r = 0; r < table.labels.size(); ++r) {
      const std::int32_t label = table.labels[r];
      const std::string& name = shown.names.at(static_cast<std::size_t>(shown.labels[r]));
      if (label < 0) {
        CHECK(name == "(no class)");
      } else if (shown.labels[r] < own) {
        CHECK(name == table.classes[static_cast<std::size_t>(label)]);
        least_own = std::min(least_own, images[label]);
      } else {
        CHECK(shown.labels[r] == own);
        most_shared = std::max(most_shared, images[label]);
      }
    }
    CHECK(least_own >= most_shared);
    CHECK(most_shared > 0);
    CHECK(std::is_sorted(shown.names.begin(), shown.names.begin() + own, [](const auto& a, const auto& b) {
      return std::stoi(a.substr(6)) < std::stoi(b.substr(6));
    }));
  }
}

TEST_CASE("pages: images without a class shift no class of a picture") {
  const int classes = 7;
  const ImageTable table = table_with(random_labels(200, -1, classes, 3), classes);
  const PictureClasses shown = picture_classes(table, 32);
  REQUIRE(shown.names.size() == 8);
  CHECK(shown.names.back() == "(no class)");
  CHECK(std::ranges::count(table.labels, -1) > 5);
  for (std::size_t r = 0; r < table.labels.size(); ++r)
    CHECK(shown.labels[r] == (table.labels[r] < 0 ? classes : table.labels[r]));
}

}  // namespace
}  // namespace kindred
