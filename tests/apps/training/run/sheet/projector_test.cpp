// The features of evaluation images for TensorBoard's projector.
#include "../../../../engine/temporary_folder.h"

#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/training/run/sheet/projector.h>
#include <kindred/data/images/decode.h>
#include <kindred/engine/random/philox.h>

#include <cmath>
#include <memory>
#include <set>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Image i is of one colour, by which its thumbnail is known.
struct PlainSource : SampleSource {
  std::set<std::int64_t> unreadable{};
  static std::array<int, 3> color(std::int64_t i) {
    return {static_cast<int>(i * 37 % 256), static_cast<int>(i * 91 % 256), static_cast<int>(i * 13 % 256)};
  }
  std::string name(std::int64_t i) const override { return "val/" + std::to_string(i) + ".png"; }
  void load(std::int64_t i, Decoded& out) const override {
    out = {};
    if (unreadable.contains(i)) {
      out.reason = "planted";
      return;
    }
    out.image = Image(48, 40);
    for (std::size_t k = 0; k < out.image.pixels.size(); ++k)
      out.image.pixels[k] = static_cast<std::uint8_t>(color(i)[k % 3]);
    out.outcome = Outcome::ok;
    out.picture_height = 48;
    out.picture_width = 40;
  }
};

Dataset plain_set(std::int64_t size, std::set<std::int64_t> unreadable = {}) {
  auto source = std::make_shared<PlainSource>();
  source->unreadable = std::move(unreadable);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < size; ++i) labels.push_back(static_cast<std::int32_t>(i % 3));
  return Dataset({"a", "b", "c"}, labels, source, false);
}

FeatureTable random_features(std::int64_t rows, std::int64_t dim) {
  FeatureTable table{
      .dim = dim, .features = {}, .labels = std::vector<std::int32_t>(static_cast<std::size_t>(rows))};
  RandomStream random(21, Purpose::test);
  for (std::int64_t i = 0; i < rows * dim; ++i) table.features.push_back(3 * random.normal());
  return table;
}

TEST_CASE(
    "projector of a run: rows are those of their images, of unit length, and thumbnails stand at their "
    "places") {
  const std::int64_t dim = 6;
  const std::vector<std::int64_t> rows = {0, 2, 3, 5, 6, 9, 10};
  const Dataset set = plain_set(11, {5});  // it could be read when it was measured
  FeatureTable features = random_features(static_cast<std::int64_t>(rows.size()), dim);
  std::fill_n(features.features.begin() + 2 * dim, dim, 0.0F);
  const ProjectorImages images = projected_images(set, rows, features, ResizeMode::crop, 1);
  REQUIRE(images.dim == dim);
  REQUIRE(images.paths.size() == rows.size());
  REQUIRE(images.features.size() == features.features.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    CHECK(images.paths[r] == set.name(rows[r]));
    CHECK(images.classes[r] == set.class_names()[static_cast<std::size_t>(set.label(rows[r]))]);
    double squares = 0;
    for (std::size_t k = 0; k < 6; ++k) squares += std::pow(double(features.features[r * 6 + k]), 2);
    for (std::size_t k = 0; k < 6; ++k)
      CHECK(
          images.features[r * 6 + k] ==
          doctest::Approx(squares == 0 ? 0 : features.features[r * 6 + k] / std::sqrt(squares)).epsilon(1e-6));
  }
  Image sprite =
      decode_image({reinterpret_cast<const std::uint8_t*>(images.sprite.data()), images.sprite.size()}).image;
  CHECK(sprite.width == 3 * projected_side);
  CHECK(sprite.height == 3 * projected_side);
  for (std::size_t r = 0; r < 9; ++r) {
    const std::uint8_t* middle = sprite.pixel(static_cast<int>(r) / 3 * projected_side + 16,
                                              static_cast<int>(r) % 3 * projected_side + 16);
    for (std::size_t k = 0; k < 3; ++k) {
      const int expected = r >= rows.size() || rows[r] == 5 ? 225 : PlainSource::color(rows[r])[k];
      CHECK(std::abs(int(middle[k]) - expected) <= 6);  // JPEG
    }
  }
}

TEST_CASE("projector of a run: of many images 1,000 are shown, evenly spread") {
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 2500; ++i) rows.push_back(i);
  const ProjectorImages images =
      projected_images(plain_set(2500), rows, random_features(2500, 2), ResizeMode::crop, 2);
  REQUIRE(images.paths.size() == 1000);
  CHECK(images.paths.front() == "val/0.png");
  CHECK(images.paths[1] == "val/2.png");
  CHECK(images.paths.back() == "val/2497.png");
  CHECK(images.sprite.size() < 2'000'000);
}

TEST_CASE("projector of a run: what cannot be written ends nothing" * doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const Dataset set = plain_set(4);
  const std::vector<std::int64_t> rows = {0, 1, 3};
  write_projector(folder.path, set, {}, {}, ResizeMode::crop, 0, 1);
  CHECK_FALSE(fs::exists(folder / event_folder_name));
  write_bytes(folder / event_folder_name, "in the way");
  write_projector(folder.path, set, rows, random_features(3, 2), ResizeMode::crop, 0, 1);
  CHECK(read_bytes(folder / event_folder_name) == "in the way");
  fs::remove(folder / event_folder_name);
  FeatureTable broken = random_features(3, 2);
  broken.features[1] = std::nanf("");
  write_projector(folder.path, set, rows, broken, ResizeMode::crop, 0, 1);
  CHECK_FALSE(fs::exists(folder / event_folder_name / std::string("projector_config.pbtxt")));
  write_projector(folder.path, set, rows, random_features(3, 2), ResizeMode::crop, 0, 4);
  CHECK(read_bytes(folder / event_folder_name / std::string("projector_config.pbtxt")).find("after epoch 4") !=
        std::string::npos);
}

}  // namespace
}  // namespace kindred
