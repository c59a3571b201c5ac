// What `export --format onnx` writes, read and run by onnx_reader.h: values, constants and metadata.
#include "../programs.h"
#include "onnx_reader.h"

#include <kindred/engine/files/json_text.h>
#include <kindred/engine/random/philox.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/weights_file.h>

#include <nlohmann/json.hpp>

#include <cmath>

namespace kindred {
namespace {

// Running statistics like those after training: none of them is 0 or 1.
void draw_statistics(ParameterStore& store) {
  RandomStream random(31, Purpose::test);
  for (const Buffer& buffer : store.buffers()) {
    std::vector<float> values(static_cast<std::size_t>(buffer.value.numel()));
    const bool variance = buffer.name.ends_with("running_var");
    for (float& value : values) value = variance ? random.uniform(0.5f, 2.0f) : random.uniform(-0.5f, 0.5f);
    Tensor(buffer.value).copy_from(Tensor::from(values, buffer.value.shape(), Device::cpu));
  }
}

struct Exported {
  TemporaryFolder folder;
  ContrastiveModel model;
  PixelStatistics pixels;

  Exported(const std::string& name, Stem stem, std::int64_t size, const PixelStatistics& statistics)
      : model(name, stem, HeadKind::mlp), pixels(statistics) {
    model.store.allocate(Device::cpu, 5);
    draw_statistics(model.store);
    save_weights(folder / "weights.safetensors", model.store, WeightNames::torchvision,
                 {name, stem, size, statistics}, 7);
  }
  OnnxFile onnx(const std::string& flags) const {
    const std::string out = folder / "model.onnx";
    const auto result = run_program(
        "export", (folder / "weights.safetensors").string() + " --format onnx --out " + out + flags);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    return OnnxFile(read_bytes(out));
  }
};

// The same numbers as [n, h, w, 3] for Kindred and [n, 3, h, w] for ONNX.
struct Images {
  Tensor ours;
  OnnxTensor theirs;

  explicit Images(std::int64_t size) : theirs{{2, 3, size, size}, {}} {
    RandomStream random(37, Purpose::test);
    theirs.values.resize(static_cast<std::size_t>(2 * 3 * size * size));
    for (float& value : theirs.values) value = random.normal();
    std::vector<float> values(theirs.values.size());
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t c = 0; c < 3; ++c)
        for (std::int64_t place = 0; place < size * size; ++place)
          values[static_cast<std::size_t>((n * size * size + place) * 3 + c)] =
              theirs.values[static_cast<std::size_t>((n * 3 + c) * size * size + place)];
    ours = Tensor::from(values, {2, size, size, 3}, Device::cpu);
  }
};

void check_equal(const OnnxTensor& given, const Tensor& expected) {
  const std::vector<float> values = expected.to_vector<float>();
  REQUIRE(given.values.size() == values.size());
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    difference += std::pow(given.values[i] - values[i], 2);
    length += std::pow(values[i], 2);
  }
  CHECK(length > 0);
  CHECK(std::sqrt(difference / length) < 1e-5);
}

TEST_CASE("onnx: features and embeddings are the encoder's and the head's") {
  if (!has_onnx()) return;
  for (const Stem stem : {Stem::cifar, Stem::imagenet}) {
    CAPTURE(name(stem));
    const Exported exported(stem == Stem::cifar ? "resnet20" : "resnet18", stem, 32, cifar100_pixels);
    const Images images(32);
    const OnnxFile features = exported.onnx("");
    check_equal(features.run(images.theirs), exported.model.encoder(images.ours, Mode::evaluate));
    check_equal(exported.onnx(" --head").run(images.theirs), exported.model(images.ours, Mode::evaluate));
    CHECK(features.count("MaxPool") == (stem == Stem::imagenet ? 1 : 0));
  }
}

TEST_CASE("onnx: constants and metadata") {
  if (!has_onnx()) return;
  const Exported exported("resnet20", Stem::cifar, 32, cifar100_pixels);
  const OnnxFile file = exported.onnx("");
  int norms = 0;
  for (const OnnxNode& node : file.nodes) {
    if (node.operation != "BatchNormalization") continue;
    ++norms;
    CHECK(node.floats.at("epsilon") == 1e-5f);
  }
  CHECK(norms == 21);
  CHECK(file.operator_set == 17);
  CHECK(file.metadata.at("model") == "resnet20");
  CHECK(file.metadata.at("stem") == "cifar");
  CHECK(file.metadata.at("image_size") == "32");
  const auto numbers = [&](const char* key) {
    return parse_json(file.metadata.at(key)).get<std::vector<double>>();
  };
  const std::vector<double> mean = {0.5071, 0.4867, 0.4408}, deviation = {0.2675, 0.2565, 0.2761};
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(numbers("pixel_mean")[c] == doctest::Approx(mean[c]).epsilon(1e-6));
    CHECK(numbers("pixel_std")[c] == doctest::Approx(deviation[c]).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace kindred
