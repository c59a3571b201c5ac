// Which images an index has already, and how their lines are written.
#include "../../engine/temporary_folder.h"
#include "small_index.h"

#include <kindred/apps/similarity/known_images.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t dim = 12;

// An index of 20 rows in two segments, opened.
std::vector<std::shared_ptr<const OpenSegment>> two_segments(const fs::path& folder,
                                                             const std::vector<float>& bank) {
  write_small_index(folder, bank, dim, {13, 7});
  return SimilarityIndex::open(folder).segments();
}

// What is left of these rows, in their order.
std::vector<std::string> paths_left(KnownImages& known, std::vector<float> rows,
                                    const std::vector<std::string>& paths) {
  std::vector<IndexedImage> images;
  std::vector<std::vector<std::uint8_t>> jpegs;
  std::vector<float> before = rows;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    images.push_back({paths[i], "", "all"});
    jpegs.push_back({static_cast<std::uint8_t>(i)});
  }
  known.remove_known(rows, images, jpegs);
  REQUIRE(rows.size() == images.size() * dim);
  REQUIRE(jpegs.size() == images.size());
  std::vector<std::string> left;
  for (std::size_t i = 0; i < images.size(); ++i) {
    left.push_back(images[i].path);
    const std::size_t was = jpegs[i].at(0);  // picture and features stay with their image
    CHECK(images[i].path == paths[was]);
    CHECK(std::equal(rows.begin() + static_cast<std::ptrdiff_t>(i * dim),
                     rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * dim),
                     before.begin() + static_cast<std::ptrdiff_t>(was * dim)));
  }
  return left;
}

TEST_CASE("known images: a row with the same path and features is taken out, wherever it is") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(20, dim, 1);
  KnownImages known(two_segments(folder / "i", bank), "");
  std::vector<float> rows;
  std::vector<std::string> paths, expected;
  for (std::int64_t row = 19; row >= 0; row -= 3) {  // of both segments, in another order, new ones between
    const auto values = bank.begin() + row * dim;
    for (std::int64_t i = 0; i < dim; ++i)
      rows.push_back(values[i] * (1 + 1e-6f));  // computed in another batch
    paths.push_back(row % 2 == 0 ? drawn_image(row).path
                                 : (fs::current_path() / drawn_image(row).path).string());
    const std::vector<float> other = drawn_unit_rows(1, dim, 100 + static_cast<unsigned>(row));
    rows.insert(rows.end(), other.begin(), other.end());
    paths.push_back("new/" + std::to_string(row) + ".png");
    expected.push_back(paths.back());
  }
  CHECK(paths_left(known, rows, paths) == expected);
  CHECK(known.removed() == 7);
  CHECK(known.changed() == 0);
  CHECK(known.example() == paths[0]);
}

TEST_CASE("known images: the path alone, or the features alone, are not enough") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(20, dim, 2);
  KnownImages known(two_segments(folder / "i", bank), "");
  const std::vector<float> other = drawn_unit_rows(1, dim, 50);
  const std::vector<float> third(bank.begin() + 3 * dim, bank.begin() + 4 * dim);
  CHECK(paths_left(known, other, {drawn_image(3).path}).size() == 1);
  CHECK(known.changed() == 1);
  CHECK(paths_left(known, third, {"a/copy.png"}).size() == 1);
  CHECK(paths_left(known, third, {drawn_image(4).path}).size() == 1);
  CHECK(known.changed() == 2);
  CHECK(known.removed() == 0);
  CHECK(paths_left(known, third, {"./set/../" + drawn_image(3).path}).empty());
  CHECK(known.removed() == 1);
  KnownImages none;
  CHECK(paths_left(none, third, {drawn_image(3).path}).size() == 1);
}

TEST_CASE("known images: features that are zero, and names that are not UTF-8") {
  const TemporaryFolder folder;
  const std::string name = "a/b\xff\".png";
  const std::vector<float> zeros(dim);
  SegmentWriter writer(folder.path, 0, dim, false);
  const std::vector<IndexedImage> image{{name, "", "all"}};
  writer.append(zeros, image, {});
  KnownImages known({std::make_shared<const OpenSegment>(folder.path, writer.commit(), dim)}, "");
  CHECK(paths_left(known, zeros, {name}).empty());
  CHECK(paths_left(known, drawn_unit_rows(1, dim, 3), {name}).size() == 1);
}

TEST_CASE("known images: a line of the table is what the JSON library writes, whatever the names are") {
  std::vector<std::string> names{"",
                                 "plain/name 1.png",
                                 "\"",
                                 "\\",
                                 "a\nb\t\r",
                                 "\x01\x1f\x7f",
                                 "\xc3\xbc",
                                 "\xff\xfe",
                                 "</script>",
                                 "{\"a\":1}",
                                 std::string("a\0b", 3)};
  for (const std::string& path : names)
    for (const std::string& class_name : names) {
      const IndexedImage image{path, class_name, "val"};
      nlohmann::json expected{{"part", "val"}, {"path", path}};
      if (!class_name.empty()) expected["class"] = class_name;
      std::string lines = "earlier\n";
      append_line_of(image, lines);
      CHECK(lines == "earlier\n" + json_text(expected));
    }
}

TEST_CASE("known images: a segment of many rows is written by two threads as by one") {
  const TemporaryFolder folder;
  constexpr std::int64_t rows = 30'000;  // above a megabyte, from which on there are two
  const std::vector<float> bank = drawn_unit_rows(rows, dim, 4);
  const IndexSegment whole = write_segment(folder.path, 0, bank, dim, 0);
  SegmentWriter writer(folder.path, 1, dim, true);
  for (std::int64_t row = 0; row < rows; row += 1000) {
    std::vector<IndexedImage> images;
    std::vector<std::vector<std::uint8_t>> jpegs;
    for (std::int64_t r = row; r < row + 1000; ++r) {
      images.push_back(drawn_image(r));
      jpegs.push_back(drawn_jpeg(r));
    }
    writer.append(std::span(bank).subspan(static_cast<std::size_t>(row * dim), 1000 * dim), images, jpegs);
  }
  const IndexSegment parts = writer.commit();
  CHECK(parts.rows == rows);
  CHECK(parts.features.xxh3 == whole.features.xxh3);
  CHECK(parts.rows_file.xxh3 == whole.rows_file.xxh3);
  CHECK(read_bytes(folder / "features-000.npy") == read_bytes(folder / "features-001.npy"));
  OpenSegment(folder.path, whole, dim).check_all();
}

}  // namespace
}  // namespace kindred
