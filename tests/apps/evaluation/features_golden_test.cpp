// `embed`, from the file of a picture to its features, against torchvision's ResNet-18 with torchvision's own
// transforms (tests/golden/golden_features.py).
#include "../../data/test_images.h"
#include "../../golden/formula.h"
#include "../../models/golden_model.h"
#include "../programs.h"

#include <kindred/data/npz/npz.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/resnet.h>

#include <cmath>

namespace kindred::golden {
namespace {

// The pictures of one size of views, in a folder for each so that they are embedded in order.
std::vector<std::vector<float>> embedded(const TemporaryFolder& folder, std::int64_t size,
                                         const std::vector<const nlohmann::json*>& cases) {
  const std::string set = folder / ("set" + std::to_string(size)), out = folder / "features.npz";
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Image picture =
        test::formula_image(cases[i]->at("height").get<int>(), cases[i]->at("width").get<int>());
    const test::Bytes file = test::write_png({picture.height, picture.width, 8, 2, {}}, picture.pixels);
    const std::filesystem::path place = set + "/train/" + std::to_string(i) + "/picture.png";
    std::filesystem::create_directories(place.parent_path());
    write_bytes(place, std::string(file.begin(), file.end()));
  }
  const auto result = run_program("embed", set + " --device cpu -j 1 --split train --encoder " +
                                               (folder / "encoder.safetensors").string() + " --image-size " +
                                               std::to_string(size) + " --out " + out);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  const NpzFile file(out);
  const std::vector<float> all = file.read<float>(file.at("features"));
  REQUIRE(all.size() == 512 * cases.size());
  std::vector<std::vector<float>> rows;
  for (auto row = all.begin(); row != all.end(); row += 512) rows.emplace_back(row, row + 512);
  return rows;
}

TEST_CASE("embed: features of pictures are torchvision's, resize, crop and normalization included") {
  const nlohmann::json fixture = load_fixture("features");
  ParameterStore store;
  const ResNet network(store, resnet_spec(fixture.at("model")), Stem::imagenet);
  store.allocate(Device::cpu, 0);
  fill_parameters(store, fixture);
  for (Buffer& buffer : store.buffers()) {
    const bool variance = buffer.name.ends_with("running_var");
    const auto values =
        formula(buffer.name, buffer.shape.numel(), variance ? 0.5f : -0.3f, variance ? 2.0f : 0.3f);
    buffer.value.copy_from(
        Tensor::from(std::vector<float>(values.begin(), values.end()), buffer.shape, Device::cpu));
  }
  std::map<std::int64_t, std::vector<const nlohmann::json*>> by_size;
  for (const nlohmann::json& each : fixture.at("cases")) by_size[each.at("size")].push_back(&each);
  REQUIRE(by_size.size() == 4);
  const TemporaryFolder folder;
  save_encoder(folder / "encoder.safetensors", store, {"resnet18", Stem::imagenet, 224, imagenet_pixels}, 1);
  for (const auto& [size, cases] : by_size) {
    const auto rows = embedded(folder, size, cases);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(cases[i]->dump());
      // A fifth of the values of a resized picture differ by one level from Pillow's, which rounds between rows
      // and columns. That is 2e-3 to 5e-3 of the features' norm on such noisy pictures. Without a resize only
      // the rounding of float32 remains.
      const bool resized = cases[i]->at("height") != size || cases[i]->at("width") != size;
      const double tolerance = resized ? 1e-2 : 1e-5;
      CHECK(relative_error("features", std::vector<double>(rows[i].begin(), rows[i].end()), *cases[i]) <
            tolerance);
      double difference = 0, length = 0;
      for (std::size_t d = 0; d < 16; ++d) {
        const double theirs = cases[i]->at("first")[d].get<double>();
        difference += std::pow(rows[i][d] - theirs, 2);
        length += theirs * theirs;
      }
      CHECK(std::sqrt(difference / length) < tolerance);
    }
  }
}

}  // namespace
}  // namespace kindred::golden
