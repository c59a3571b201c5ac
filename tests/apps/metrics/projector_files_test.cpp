// What TensorBoard's projector reads. tests/golden/check_events.py reads the files with TensorBoard itself.
#include "../../engine/temporary_folder.h"
#include "../../errors.h"

#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/metrics/projector_files.h>
#include <kindred/apps/metrics/visible_text.h>
#include <kindred/engine/random/philox.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::vector<std::vector<std::string>> cells_of(const fs::path& table) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(read_bytes(table));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
  }
  return rows;
}

ProjectorImages some_images(std::size_t rows, std::int64_t dim) {
  ProjectorImages images{.dim = dim};
  RandomStream random(5, Purpose::test);
  for (std::size_t i = 0; i < rows; ++i) {
    images.classes.push_back("class " + std::to_string(i % 3));
    images.paths.push_back("set/" + std::to_string(i) + ".jpg");
    for (std::int64_t k = 0; k < dim; ++k)
      images.features.push_back(std::exp(20 * random.normal()) * (k % 2 == 0 ? 1.0F : -1.0F));
  }
  images.sprite = "a picture";
  images.thumbnail_side = 24;
  return images;
}

TEST_CASE("projector: features come back to the bit, and every file has a line for each image") {
  const TemporaryFolder folder;
  ProjectorImages images = some_images(7, 5);
  images.features[3] = 0;
  images.features[4] = std::numeric_limits<float>::denorm_min();
  images.features[5] = -std::numeric_limits<float>::max();
  write_projector_files(folder / "run/t", images, 12);
  const auto features = cells_of(folder / "run/t/projector_features.tsv"),
             names = cells_of(folder / "run/t/projector_metadata.tsv");
  REQUIRE(features.size() == 7);
  REQUIRE(names.size() == 8);
  CHECK(names[0] == std::vector<std::string>{"class", "path"});
  for (std::size_t i = 0; i < 7; ++i) {
    REQUIRE(features[i].size() == 5);
    for (std::size_t k = 0; k < 5; ++k)
      CHECK(std::strtof(features[i][k].c_str(), nullptr) == images.features[i * 5 + k]);
    CHECK(names[i + 1] == std::vector<std::string>{images.classes[i], images.paths[i]});
  }
  CHECK(read_bytes(folder / "run/t/projector_sprite.jpg") == "a picture");
  CHECK(read_bytes(folder / "run/t/projector_config.pbtxt") ==
        "embeddings {\n  tensor_name: \"features after epoch 12\"\n  tensor_shape: 7\n  tensor_shape: 5\n"
        "  tensor_path: \"projector_features.tsv\"\n  metadata_path: \"projector_metadata.tsv\"\n"
        "  sprite {\n    image_path: \"projector_sprite.jpg\"\n    single_image_dim: 24\n    single_image_dim: "
        "24\n  }\n}\n");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "run/t")) {
    CHECK(is_projector_file_name(entry.path().filename()));
    CHECK(is_name_in_event_folder(entry.path().filename()));
    CHECK_FALSE(is_event_file_name(entry.path().filename()));
  }
}

TEST_CASE("projector: hostile names stay in their cell, are UTF-8, and differ") {
  const TemporaryFolder folder;
  const std::vector<std::string> hostile = {
      "a\tb",        "a\nb",      "a\r\nb",       "\xff\xfe", std::string("a\0b", 3), "a\x7f\x1b[31mb", "a b",
      "<b>&\"'</b>", "u\xcc\x88", "\xed\xa0\x80", "C:\\new",  std::string(300, 'n')};
  ProjectorImages images = some_images(hostile.size(), 2);
  images.classes = images.paths = hostile;
  write_projector_files(folder.path, images, 1);
  const auto names = cells_of(folder / "projector_metadata.tsv");
  REQUIRE(names.size() == 1 + hostile.size());
  std::set<std::string> different;
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    REQUIRE(names[i + 1].size() == 2);
    CHECK(names[i + 1][0] == names[i + 1][1]);
    different.insert(names[i + 1][0]);
    for (const char c : names[i + 1][0]) CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
  }
  CHECK(different.size() == hostile.size());
  CHECK(names[1][0] == "a\\tb");
  CHECK(names[3][0] == "a\\r\\nb");
  CHECK(names[4][0] == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(names[5][0] == "a\\x00b");
  CHECK(names[8][0] == "<b>&\"'</b>");
  CHECK(names[9][0] == "u\xcc\x88");
  CHECK(visible_lines("a\nb\tc") == "a\nb\\tc");
}

TEST_CASE(
    "projector: former files are replaced, links and not what they point to, and a folder in the way is said") {
  const TemporaryFolder folder;
  const fs::path config = folder / "projector_config.pbtxt", features = folder / "projector_features.tsv",
                 sprite = folder / "projector_sprite.jpg";
  write_projector_files(folder.path, some_images(9, 4), 1);
  write_bytes(folder / "users", "the user's");
  fs::remove(features);
  fs::create_symlink(folder / "users", features);
  fs::remove(config);
  fs::create_symlink(folder / "users", config);
  ProjectorImages fewer = some_images(4, 3);
  fewer.sprite.clear();
  write_projector_files(folder.path, fewer, 2);
  CHECK(cells_of(features).size() == 4);
  CHECK(read_bytes(folder / "users") == "the user's");
  CHECK_FALSE(fs::exists(sprite));
  CHECK(read_bytes(config).find("sprite") == std::string::npos);
  CHECK(read_bytes(config).find("after epoch 2\"") != std::string::npos);

  fs::remove(folder / "projector_metadata.tsv");
  fs::create_directories(folder / "projector_metadata.tsv/inside");
  CHECK(test::code_of([&] { write_projector_files(folder.path, some_images(5, 4), 3); }) == ExitCode::io);
  CHECK_FALSE(fs::exists(config));  // no config names files of two runs
  CHECK(fs::exists(folder / "projector_metadata.tsv/inside"));
}

TEST_CASE("projector: features that are not finite are refused before anything is written") {
  const TemporaryFolder folder;
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    ProjectorImages images = some_images(3, 2);
    images.features[5] = value;
    CHECK(test::code_of([&] { write_projector_files(folder / "t", images, 1); }) == ExitCode::non_finite);
  }
  CHECK_FALSE(fs::exists(folder / "t"));
}

}  // namespace
}  // namespace kindred
