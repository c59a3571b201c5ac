// --resize and --exif: what they do to features, and that an encoder remembers them.
#include "../data/images/exif_files.h"
#include "../data/test_images.h"
#include "programs.h"

#include <kindred/data/images/exif.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/encoder_file.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace kindred {
namespace {

// Two classes of two pictures of 24 x 36 pixels. With an orientation they are stored so that it turns them to the same.
void write_set(const TemporaryFolder& folder, int orientation) {
  // What undoes it: turns by 90 degrees undo each other.
  const int undone = orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
  for (int i = 0; i < 4; ++i) {
    Image image = test::smooth_image(24, 36, 50 * i), spare;
    turn_upright(image, undone, spare);
    const test::Bytes png = test::write_png({image.height, image.width, 8, 2, {}}, image.pixels);
    const test::Bytes file = orientation == 1 ? png : test::png_with_orientation(png, orientation);
    const auto path = folder / fmt::format("set/train/{}/{}.png", i / 2, i);
    std::filesystem::create_directories(path.parent_path());
    write_bytes(path, {file.begin(), file.end()});
  }
}

std::string write_encoder(const TemporaryFolder& folder, ResizeMode resize, ExifMode exif) {
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::none);
  model.store.allocate(Device::cpu, 3);
  EncoderInfo info{"resnet20", Stem::cifar, 16, cifar10_pixels};
  info.resize = resize;
  info.exif = exif;
  const std::string path = folder / "encoder.safetensors";
  save_encoder(path, model.store, info, 1);
  return path;
}

// The bytes of the features of the set.
std::string features(const TemporaryFolder& folder, const std::string& encoder, const std::string& flags = "") {
  const std::string out = folder / "features.npz";
  const ProgramResult result = run_program("embed", (folder / "set").string() + " --split train --encoder " +
                                                        encoder + " --out " + out + " " + flags);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  return read_bytes(out);
}

TEST_CASE(
    "preparation: pictures that are stored turned give the features of upright ones, if EXIF is applied") {
  const TemporaryFolder folder;
  const std::string ignores = write_encoder(folder, ResizeMode::crop, ExifMode::ignore);
  write_set(folder, 1);
  const std::string upright_features = features(folder, ignores);
  CHECK(features(folder, ignores, "--exif apply") == upright_features);
  for (const int orientation : {3, 6, 8}) {
    CAPTURE(orientation);
    write_set(folder, orientation);
    CHECK(features(folder, ignores) != upright_features);
    CHECK(features(folder, ignores, "--exif apply") == upright_features);
  }
  const std::string applies = write_encoder(folder, ResizeMode::crop, ExifMode::apply);
  CHECK(features(folder, applies) == upright_features);
  CHECK(features(folder, applies, "--exif ignore") != upright_features);
}

TEST_CASE("preparation: an encoder remembers how images are resized, and a flag replaces it") {
  const TemporaryFolder folder;
  write_set(folder, 1);
  const std::string crops = features(folder, write_encoder(folder, ResizeMode::crop, ExifMode::ignore));
  const std::string pads = features(folder, write_encoder(folder, ResizeMode::pad, ExifMode::ignore));
  const std::string squashing = write_encoder(folder, ResizeMode::squash, ExifMode::ignore);
  const std::string squashes = features(folder, squashing);
  CHECK(crops != pads);
  CHECK(crops != squashes);
  CHECK(pads != squashes);
  CHECK(features(folder, squashing, "--resize pad") == pads);
  CHECK(features(folder, squashing, "--resize crop") == crops);
}

TEST_CASE(
    "preparation: pretrain writes it to the encoder and to the settings, only if it is not the usual one") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), usual = folder / "usual", chosen = folder / "chosen";
  REQUIRE(run_program("pretrain", set + " --out " + usual + tiny).code == 0);
  REQUIRE(run_program("pretrain", set + " --resize pad --exif apply --out " + chosen + tiny).code == 0);
  const SafetensorsFile plain(usual + "/encoder.safetensors"), marked(chosen + "/encoder.safetensors");
  CHECK_FALSE(plain.metadata().contains("resize"));
  CHECK_FALSE(plain.metadata().contains("exif"));
  CHECK(marked.metadata().at("resize") == "pad");
  CHECK(marked.metadata().at("exif") == "apply");
  CHECK(marked.metadata().at("preparation") ==
        "RGB of 8 bits; EXIF orientation applied; resized so that the longer side has 32 pixels, and padded in "
        "equal parts "
        "on both sides with gray 128 to 32 x 32; bilinear with antialiasing, as Pillow's BILINEAR, rounded to "
        "8 bits; "
        "divided by 255; minus pixel_mean; divided by pixel_std");
  CHECK_FALSE(json_file(usual + "/config.json").contains("resize"));
  CHECK_FALSE(json_file(usual + "/config.json").contains("exif"));
  CHECK(json_file(chosen + "/config.json")["resize"] == "pad");
  CHECK(json_file(chosen + "/config.json")["exif"] == "apply");
  const ProgramResult other = run_program("pretrain", set + " --resume --out " + chosen + tiny);
  CHECK(other.code != 0);
  CHECK(says(other, "resize was \"pad\", now it is not given"));
  const ProgramResult added = run_program("pretrain", set + " --resume --exif apply --out " + usual + tiny);
  CHECK(added.code != 0);
  CHECK(says(added, "exif was not there, now \"apply\""));
  CHECK(run_program("pretrain", set + " --resume --resize pad --exif apply --out " + chosen + tiny).code == 0);
}

TEST_CASE("preparation: check_data counts the images with an orientation, and says what follows") {
  const TemporaryFolder folder;
  write_set(folder, 6);
  const std::string set = (folder / "set").string(), json = folder / "counts.json";
  const ProgramResult ignored = run_program("check_data", set + " --no-pictures --json " + json);
  CHECK(ignored.code == 0);
  CHECK(says(ignored,
             "4 images have an EXIF orientation that is ignored, so the network sees them turned or mirrored; "
             "--exif apply, here and for pretrain, turns them upright"));
  CHECK(json_file(json)["splits"]["train"]["oriented"] == 4);
  const ProgramResult applied = run_program("check_data", set + " --no-pictures --exif apply");
  CHECK(says(applied, "4 images are turned as their EXIF orientation says"));
  write_set(folder, 1);
  CHECK_FALSE(says(run_program("check_data", set + " --no-pictures"), "EXIF"));
}

TEST_CASE("preparation: shrinking loses orientations, or applies them") {
  const TemporaryFolder folder;
  write_set(folder, 6);
  const std::string set = (folder / "set").string(), lying = folder / "lying.kpack",
                    upright_pack = folder / "upright.kpack";
  CHECK(says(run_program("pack_dataset", set + " " + lying + " --max-side 18"),
             "warning: 4 of the shrunk images had an EXIF orientation, which shrinking loses"));
  CHECK(says(run_program("pack_dataset", set + " " + upright_pack + " --max-side 18 --exif apply"),
             "4 shrunk images were turned as their EXIF orientation says"));
  const std::optional<Dataset> as_stored = open_dataset(lying, Split::train),
                               turned = open_dataset(upright_pack, Split::train);
  CHECK(as_stored->load(0).image.height == 18);  // stored with 36 rows of 24 pixels
  CHECK(as_stored->load(0).image.width == 12);
  CHECK(turned->load(0).image.height == 12);
  CHECK(turned->load(0).image.width == 18);
}

TEST_CASE("preparation: modes that there are not") {
  const TemporaryFolder folder;
  write_set(folder, 1);
  const std::string set = (folder / "set").string();
  const auto refused = [](const ProgramResult& result, const std::string& text) {
    CAPTURE(result.output);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, text));
  };
  const std::string encoder = write_encoder(folder, ResizeMode::crop, ExifMode::ignore);
  refused(run_program("pretrain", set + " --resize zoom --out " + (folder / "r").string() + tiny),
          "--resize zoom: expected one of crop, pad, squash");
  refused(run_program("embed",
                      set + " --encoder " + encoder + " --resize zoom --out " + (folder / "f.npz").string()),
          "--resize zoom: expected one of crop, pad, squash");
  refused(run_program("check_data", set + " --exif yes"), "--exif yes: expected one of ignore, apply");
  refused(run_program("linear_probe",
                      set + " --encoder " + encoder + " --exif yes --out " + (folder / "p").string()),
          "--exif yes: expected one of ignore, apply");
}

}  // namespace
}  // namespace kindred
