// Encoder, as a user of the library has it: the features of pictures are those that the program `embed` writes.
#include "../apps/programs.h"
#include "../errors.h"

#include <doctest/doctest.h>
#include <kindred/data/npz/npz.h>
#include <kindred/kindred.h>
#include <kindred/models/weights_file.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const EncoderOptions on_cpu{.device = "cpu", .batch_size = 4, .workers = 1};

template <typename Call>
void check_error(ExitCode code, const std::string& words, const Call& call) {
  const std::string message = test::error_of(call);
  CAPTURE(message);
  CHECK(test::code_of(call) == code);
  CHECK(message.find(words) != std::string::npos);
}

// A set of six evaluation images of 32 x 32 pixels and one of 40 x 20, and the file of an untrained encoder.
struct SetAndEncoder {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), file = folder / "encoder.safetensors";
  std::string wide = fs::directory_iterator(set + "/val")->path() / "wide.ppm";
  ParameterStore store;
  ResNet network{store, resnet_spec("resnet20"), Stem::cifar};
  EncoderInfo info;

  explicit SetAndEncoder(ResizeMode resize = ResizeMode::crop) {
    std::string ppm = "P6\n40 20\n255\n";
    for (int i = 0; i < 40 * 20 * 3; ++i) ppm += static_cast<char>(i * 7 % 256);
    write_bytes(wide, ppm);
    info.model = "resnet20";
    info.stem = Stem::cifar;
    info.image_size = 24;
    info.pixels = cifar100_pixels;
    info.resize = resize;
    store.allocate(Device::cpu, 1);
    save_encoder(file, store, info, 0);
  }
};

TEST_CASE("encoder: the features of a folder are those that embed writes, for every way to prepare images") {
  std::vector<std::vector<float>> wide;
  for (const ResizeMode resize : {ResizeMode::crop, ResizeMode::pad, ResizeMode::squash}) {
    const SetAndEncoder t(resize);
    const std::string out = t.folder / "features.npz";
    const auto embedded =
        run_program("embed", t.set + " --device cpu --encoder " + t.file + " -b 4 --out " + out);
    CAPTURE(embedded.output);
    REQUIRE(embedded.code == 0);
    const NpzFile npz(out);
    const std::vector<std::string> paths = npz.read_texts(npz.at("paths"));
    const std::vector<float> expected = npz.read<float>(npz.at("features"));

    const Encoder encoder = Encoder::open(t.file, on_cpu);
    CHECK(encoder.dim() == 64);
    CHECK(encoder.device() == Device::cpu);
    CHECK(encoder.info().image_size == 24);
    const ImageFeatures all = encoder.features_of_folder(t.set + "/val");
    CHECK(all.unreadable.empty());
    REQUIRE(all.names.size() == 7);
    REQUIRE(paths.size() == 7);
    for (std::size_t i = 0; i < 7; ++i)
      CHECK(fs::path(all.names[i]).filename() == fs::path(paths[i]).filename());
    REQUIRE(all.features.shape() == Shape({7, 64}));
    CHECK(all.features.device() == Device::cpu);
    const std::vector<float> values = all.features.to_vector<float>();
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-4));
    wide.push_back(encoder.features(t.wide).to_vector<float>());
  }
  CHECK(wide[0] != wide[1]);
  CHECK(wide[1] != wide[2]);
}

TEST_CASE("encoder: one image, several in their order, and what cannot be read") {
  const SetAndEncoder t;
  const Encoder encoder = Encoder::open(t.folder.path, on_cpu);  // the folder of the run
  const Tensor one = encoder.features(t.wide);
  CHECK(one.shape() == Shape({1, 64}));

  const std::string text = t.folder / "text.png";
  write_bytes(text, "no picture");
  const ImageFeatures several = encoder.features_of_files({t.wide, text, "nowhere.jpg", t.wide});
  CHECK(several.names == std::vector<std::string>{t.wide, t.wide});
  CHECK(several.features.shape() == Shape({2, 64}));
  const std::vector<float> row = one.to_vector<float>(), rows = several.features.to_vector<float>();
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == doctest::Approx(row[i % 64]).epsilon(1e-4));
  REQUIRE(several.unreadable.size() == 2);
  CHECK(several.unreadable[0].path == text);
  CHECK(several.unreadable[1].path == "nowhere.jpg");
  CHECK(!several.unreadable[1].reason.empty());

  CHECK(encoder.features_of_files({}).features.shape() == Shape({0, 64}));
  check_error(ExitCode::data, text + ": ", [&] { encoder.features(text); });
  check_error(ExitCode::data, "nowhere.jpg: ", [&] { encoder.features("nowhere.jpg"); });
  fs::create_directory(t.folder / "empty");
  check_error(ExitCode::data, "no images in it", [&] { encoder.features_of_folder(t.folder / "empty"); });
}

TEST_CASE("encoder: a checkpoint is taken if it says how images are prepared") {
  const SetAndEncoder t;
  const std::string checkpoint = t.folder / "checkpoint.safetensors";
  const auto write_checkpoint = [&](bool says_it) {
    SafetensorsWriter writer;
    mark_as_checkpoint(writer);
    if (says_it) add_encoder_info(writer, t.info);
    for (const auto& [name, tensor] : t.store.tensors()) writer.add(name, tensor);
    writer.write(checkpoint);
  };
  write_checkpoint(true);
  const Encoder from_checkpoint = Encoder::open(checkpoint, on_cpu), from_file = Encoder::open(t.file, on_cpu);
  CHECK(from_checkpoint.info().image_size == 24);
  CHECK(from_checkpoint.features(t.wide).to_vector<float>() == from_file.features(t.wide).to_vector<float>());
  write_checkpoint(false);  // as earlier versions
  check_error(ExitCode::file, "is a checkpoint of an earlier version",
              [&] { Encoder::open(checkpoint, on_cpu); });
}

TEST_CASE("encoder: files that are none, or lack a part") {
  const SetAndEncoder t;
  check_error(ExitCode::file, "nowhere", [] { Encoder::open("nowhere.safetensors", on_cpu); });
  check_error(ExitCode::file, "wide.ppm", [&] { Encoder::open(t.wide, on_cpu); });
  check_error(ExitCode::usage, "gpu", [&] { Encoder::open(t.file, {.device = "gpu"}); });
  check_error(ExitCode::usage, "a batch of 0 images",
              [&] { Encoder::open(t.file, {.device = "cpu", .batch_size = 0}); });
  const std::string incomplete = t.folder / "incomplete.safetensors";
  SafetensorsWriter writer;
  set_encoder_metadata(writer, t.info);
  add_weights(writer, t.store, WeightNames::torchvision, 0,
              [](const std::string& name) { return name != "layer1.0.bn1.weight"; });
  writer.write(incomplete);
  check_error(ExitCode::file, "a part of the resnet20 is missing: layer1.0.bn1.weight",
              [&] { Encoder::open(incomplete, on_cpu); });
}

}  // namespace
}  // namespace kindred
