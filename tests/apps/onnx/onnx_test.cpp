// What `export --format onnx` writes, read and run by onnx_reader.h: values, constants and metadata.
#include "../programs.h"
#include "onnx_reader.h"

#include <kindred/data/views/augment.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/random/philox.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/weights_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
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
  CHECK(file.metadata.at("resize") == "crop");
  CHECK(file.metadata.at("exif") == "ignore");
  CHECK(file.metadata.at("preparation") ==
        "RGB of 8 bits; EXIF orientation ignored; resized so that the shorter side has 32 pixels, of which the "
        "central 32 "
        "x 32 are used; bilinear with antialiasing, as Pillow's BILINEAR, rounded to 8 bits; divided by 255; "
        "minus "
        "pixel_mean; divided by pixel_std");
  const auto numbers = [&](const char* key) {
    return parse_json(file.metadata.at(key)).get<std::vector<double>>();
  };
  const std::vector<double> mean = {0.5071, 0.4867, 0.4408}, deviation = {0.2675, 0.2565, 0.2761};
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(numbers("pixel_mean")[c] == doctest::Approx(mean[c]).epsilon(1e-6));
    CHECK(numbers("pixel_std")[c] == doctest::Approx(deviation[c]).epsilon(1e-6));
  }
}

// A picture whose pixels are numbers by formula, as bytes and as an image.
Image formula_picture(int height, int width) {
  Image image(height, width);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 37 % 251);
  return image;
}

// The largest difference between what the graph makes of a picture and its normalized view, in levels of 255, and the
// share of the values that differ.
struct LevelDifference {
  double largest = 0, share = 0;
};

LevelDifference difference_of_levels(const OnnxTensor& given, const std::vector<std::uint8_t>& view,
                                     std::size_t size, const PixelStatistics& pixels) {
  REQUIRE(given.values.size() == view.size());
  LevelDifference difference;
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (std::size_t place = 0; place < size * size; ++place) {
      const double value = given.values[channel * size * size + place];
      const double level = 255 * (value * pixels.deviation[channel] + pixels.mean[channel]);
      const double off = std::abs(level - view[3 * place + channel]);
      difference.largest = std::max(difference.largest, off);
      if (off > 0.5) difference.share += 1 / static_cast<double>(view.size());
    }
  return difference;
}

TEST_CASE("onnx: with the preparation in the graph, pictures of any size become the views that Kindred makes") {
  if (!has_onnx()) return;
  struct Size {
    int height, width;
  };
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp);
  model.store.allocate(Device::cpu, 5);
  const TemporaryFolder folder;
  const std::string weights = folder / "weights.safetensors", out = folder / "model.onnx";
  for (const ResizeMode mode : {ResizeMode::crop, ResizeMode::pad, ResizeMode::squash})
    for (const int size : {16, 72}) {  // 72: resized to 82 before the centre is cut out
      EncoderInfo info{"resnet20", Stem::cifar, size, cifar100_pixels};
      info.resize = mode;
      save_weights(weights, model.store, WeightNames::torchvision, info, 7);
      const auto result = run_program("export", weights + " --format onnx --with-preparation --out " + out);
      CAPTURE(result.output);
      REQUIRE(result.code == 0);
      const OnnxFile file(read_bytes(out));
      CHECK(file.operator_set == 17);
      CHECK(file.metadata.at("resize") == name_of(resize_names, mode));
      for (const Size& picture : {Size{30, 20}, Size{13, 25}, Size{90, 101}, Size{size, size}}) {
        CAPTURE(size);
        CAPTURE(picture.height);
        CAPTURE(picture.width);
        const Image image = formula_picture(picture.height, picture.width);
        OnnxTensor images{{1, picture.height, picture.width, 3}, {}};
        images.values.assign(image.pixels.begin(), image.pixels.end());
        Recipe plain = recipe("none", size);
        plain.resize = mode;
        std::vector<std::uint8_t> view(static_cast<std::size_t>(3 * size * size));
        RandomStream unused(0, Purpose::test);
        AugmentScratch scratch;
        make_view(image, plain, size, unused, view.data(), scratch);
        const OnnxTensor prepared = file.prepared(images);
        CHECK(prepared.shape == std::vector<std::int64_t>{1, 3, size, size});
        const LevelDifference off =
            difference_of_levels(prepared, view, static_cast<std::size_t>(size), cifar100_pixels);
        CHECK(off.largest < 1.01);  // where the two round a half differently
        CHECK(off.share < 0.05);    // halves are frequent where sizes have small factors
      }
    }
}

TEST_CASE("onnx: the features of a graph with the preparation are the encoder's") {
  if (!has_onnx()) return;
  const Exported exported("resnet20", Stem::cifar, 16, cifar100_pixels);
  const Image image = formula_picture(16, 16);  // used unchanged
  OnnxTensor images{{1, 16, 16, 3}, {}};
  images.values.assign(image.pixels.begin(), image.pixels.end());
  const Tensor bytes = Tensor::from(image.pixels, {1, 16, 16, 3}, Device::cpu);
  check_equal(exported.onnx(" --with-preparation").run(images),
              exported.model.encoder(normalize_images(bytes, cifar100_pixels, DType::f32), Mode::evaluate));
}

TEST_CASE("export: --with-preparation is for onnx") {
  const TemporaryFolder folder;
  const auto result = run_program("export", folder / "none --format npz --with-preparation --out x.npz");
  CHECK(result.code == 2);
  CHECK(says(result, "--with-preparation: --format npz has no place for it; onnx has"));
}

}  // namespace
}  // namespace kindred
