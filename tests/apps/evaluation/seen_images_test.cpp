// Whether an encoder or a classifier was trained on the images that it is measured on: what their files say, and when
// programs warn.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/encoder_file.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

// Images of a set: of this part, with this share.
Dataset images_of(const std::string& part, const std::optional<HeldOutShare>& share) {
  struct NoPictures : SampleSource {
    std::string name(std::int64_t) const override { return "none"; }
  };
  Dataset set({"cat", "dog"}, {0, 1}, std::make_shared<NoPictures>(), false);
  set.set_origin({"DIR", part, share});
  return set;
}

Classifier classifier_with(const std::optional<HeldOutImages>& held) {
  Classifier classifier{Tensor::zeros({2, 1}, DType::f32, Device::cpu),
                        Tensor::zeros({2}, DType::f32, Device::cpu),
                        {"cat", "dog"}};
  classifier.held_out = held;
  return classifier;
}

EncoderInfo encoder_with(const std::optional<HeldOutImages>& held) {
  EncoderInfo info;
  info.held_out = held;
  return info;
}

TEST_CASE("seen images: a line about the encoder, one about the classifier, and one if both are the same") {
  const HeldOutImages seventh{0.25, 7}, eighth{0.25, 8};
  const Dataset set = images_of("held out", HeldOutShare{0.25, 8});
  const std::string end =
      ": if that was on this set, it has seen images that it is now evaluated on (--val-fraction 0.25 "
      "--val-seed "
      "8), and figures are too good; give both programs the same";
  const EncoderInfo other = encoder_with(seventh), same = encoder_with(eighth), silent = encoder_with({});
  CHECK(seen_images_warning(silent, set) == "warning: the encoder was trained without --val-fraction" + end);
  CHECK(seen_images_warning(same, set).empty());
  const std::string classifier_warning =
      "warning: the classifier was trained with --val-fraction 0.25 --val-seed 7" + end;
  CHECK(seen_images_warnings(&same, classifier_with(seventh), set) == Lines{classifier_warning});
  CHECK(seen_images_warnings(nullptr, classifier_with(seventh), set) == Lines{classifier_warning});
  CHECK(seen_images_warnings(&silent, classifier_with(seventh), set) ==
        Lines{"warning: the encoder was trained without --val-fraction" + end, classifier_warning});
  CHECK(seen_images_warnings(&other, classifier_with(seventh), set) ==
        Lines{"warning: the encoder was trained with --val-fraction 0.25 --val-seed 7" + end});
  // One that does not say it, and one of which more was held out.
  CHECK(seen_images_warnings(&same, classifier_with({}), set).empty());
  CHECK(seen_images_warnings(nullptr, classifier_with({}), set).empty());
  CHECK(seen_images_warnings(&same, classifier_with(HeldOutImages{0.5, 8}), set).empty());
  // Parts of a set that nobody trains on.
  CHECK(
      seen_images_warnings(&silent, classifier_with(seventh), images_of("val", HeldOutShare{0.25, 8})).empty());
  const std::string all =
      " was trained on all but 0.25 of a set: if that was this one, most of these images are its training "
      "images, and figures are too good; --split val measures those that it did not see";
  CHECK(seen_images_warnings(&silent, classifier_with(seventh), images_of("all", {})) ==
        Lines{"warning: the classifier" + all});
  CHECK(seen_images_warnings(&other, classifier_with(seventh), images_of("all", {})) ==
        Lines{"warning: the encoder" + all});
}

TEST_CASE("seen images: what is held out of a pack that holds out some itself is not what that one holds out") {
  const EncoderInfo of_pack = encoder_with(HeldOutImages{0.1, 0}),
                    of_part = encoder_with(HeldOutImages{0.25, 3, {{0.1, 0}}});
  const auto warning = [](const EncoderInfo& encoder, const HeldOutShare& share) {
    return seen_images_warning(encoder, images_of("held out", share));
  };
  CHECK(
      warning(of_pack, {0.1, 0, {{0.1, 0}}}) ==
      "warning: the encoder was trained with --val-fraction 0.1 --val-seed 0: if that was on this set, it has "
      "seen images that it is now evaluated on (--val-fraction 0.1 --val-seed 0 out of the training images of "
      "a pack), and figures are too good; give both programs the same");
  CHECK(warning(of_part, {0.25, 3, {{0.1, 0}}}).empty());
  CHECK(warning(of_part, {0.1, 0}).empty());  // of the set that was packed
  CHECK(
      warning(of_part, {0.25, 3}) ==
      "warning: the encoder was trained with --val-fraction 0.25 --val-seed 3 out of the training images of a "
      "pack: if that was on this set, it has seen images that it is now evaluated on (--val-fraction 0.25 "
      "--val-seed 3), and figures are too good; give both programs the same");
  CHECK(!warning(of_part, {0.25, 3, {{0.2, 0}}}).empty());
  CHECK(seen_images_warning(of_part, images_of("all", {})).find(" was trained on a part of a set: ") !=
        std::string::npos);
}

TEST_CASE("classifier files: what was held out, nothing, and what makes no sense") {
  const TemporaryFolder folder;
  const std::string file = folder / "classifier.safetensors";
  save_classifier(file, classifier_with(HeldOutImages{0.25, 9007199254740993}));
  const auto held = load_classifier(file, 1).held_out;
  REQUIRE(held.has_value());
  CHECK(held->fraction == 0.25);
  CHECK(held->seed == 9007199254740993);
  const HeldOutImages of_pack{0.25, 7, {{0.1, 0}, {0.5, 9}}};
  save_classifier(file, classifier_with(of_pack));
  CHECK((load_classifier(file, 1).held_out == of_pack));
  CHECK(SafetensorsFile(file).metadata().at("val_before") == "[[0.1,0],[0.5,9]]");
  save_classifier(file, classifier_with({}));
  CHECK(!load_classifier(file, 1).held_out);
  CHECK(!SafetensorsFile(file).metadata().contains("val_fraction"));
  CHECK(!SafetensorsFile(file).metadata().contains("val_seed"));

  using Texts = std::vector<std::pair<std::string, std::string>>;
  const auto loaded_with = [&](const Texts& metadata) {
    SafetensorsWriter writer;
    for (const auto& [key, text] : metadata) writer.set_metadata(key, text);
    const Classifier plain = classifier_with({});
    writer.add("fc.weight", plain.weight);
    writer.add("fc.bias", plain.bias);
    writer.write(file);
    return load_classifier(file, 1);
  };
  for (const char* share : {"0", "1", "2", "nan", "", "0.25 "}) {
    CAPTURE(share);
    const auto load = [&] { loaded_with({{"val_fraction", share}, {"val_seed", "7"}}); };
    CHECK(test::error_of(load) ==
          file + ": the metadata's \"val_fraction\" should be a number above 0 and below 1");
    CHECK(test::code_of(load) == ExitCode::file);
  }
  for (const Texts& texts :
       {Texts{{"val_fraction", "0.25"}}, Texts{{"val_fraction", "0.25"}, {"val_seed", "-1"}}})
    CHECK(test::error_of([&] { loaded_with(texts); }) ==
          file + ": the metadata's \"val_seed\" should be a number");
  for (const char* before : {"[[2,0]]", "[[0.1,-1]]", "[[0.1]]", "[0.1]", "{}", "[["}) {
    CAPTURE(before);
    CHECK(test::error_of([&] {
            loaded_with({{"val_fraction", "0.25"}, {"val_seed", "7"}, {"val_before", before}});
          }) == file + ": the metadata's \"val_before\" should be a list of pairs like [0.1, 0]");
  }
  // A whole network speaks of its encoder.
  CHECK(!loaded_with({{"model", "resnet20"}, {"val_fraction", "0.25"}, {"val_seed", "7"}}).held_out);
}

// What a file of weights says.
std::string metadata_of(const std::string& file, const std::string& key) {
  const SafetensorsFile opened(file);
  const auto found = opened.metadata().find(key);
  return found == opened.metadata().end() ? "none" : found->second;
}

const std::string frozen = " --device cpu -j 1 -b 8 ", probe_flags = frozen + "--epochs 1 ";

TEST_CASE("held-out images: a probe's classifier knows them, and evaluate warns about others") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", own = folder / "own",
                    held = folder / "held";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0.25 --val-seed 8 --out " + run + tiny).code == 0);
  const std::string encoder = " --encoder " + run;
  REQUIRE(run_program("linear_probe", set + encoder + probe_flags + "--out " + own).code == 0);
  CHECK(metadata_of(own + "/classifier.safetensors", "val_fraction") == "none");
  CHECK(metadata_of(own + "/classifier.safetensors", "val_seed") == "none");
  REQUIRE(run_program("linear_probe",
                      set + encoder + probe_flags + "--val-fraction 0.25 --val-seed 7 --out " + held)
              .code == 0);
  CHECK(metadata_of(held + "/classifier.safetensors", "val_fraction") == "0.25");
  CHECK(metadata_of(held + "/classifier.safetensors", "val_seed") == "7");
  const auto evaluated = [&](const std::string& classifier, const std::string& flags) {
    const auto result = run_program("evaluate", set + encoder + frozen + "--classifier " + classifier + flags);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    return result;
  };
  const std::string warning = "warning: the classifier was trained with --val-fraction 0.25 --val-seed 7: ";
  const auto eighth = evaluated(held, " --val-fraction 0.25 --val-seed 8");
  CHECK(says(eighth, warning));
  CHECK(!says(eighth, "warning: the encoder"));
  CHECK(!says(evaluated(held, " --val-fraction 0.25 --val-seed 7"), "warning: the classifier"));
  CHECK(!says(evaluated(held, " --val-fraction 0.125 --val-seed 7"), "warning: the classifier"));
  CHECK(!says(evaluated(held, ""), "warning: the "));
  // The file of a set with images of its own says nothing, as those of earlier versions.
  CHECK(!says(evaluated(own, " --val-fraction 0.25 --val-seed 8"), "warning: the "));
}

TEST_CASE("held-out images: the classifiers of a run with --loss cross_entropy know them") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", own = folder / "own";
  const std::string flags = tiny + "--loss cross_entropy --views 1 ";
  REQUIRE(run_program("pretrain", set + " --val-fraction 0.25 --val-seed 7 --out " + run + flags).code == 0);
  for (const char* name : {"/classifier.safetensors", "/best_classifier.safetensors"}) {
    CHECK(metadata_of(run + name, "val_fraction") == "0.25");
    CHECK(metadata_of(run + name, "val_seed") == "7");
  }
  // A best classifier that is written again has the same bytes.
  const std::string best = run + "/best_classifier.safetensors", bytes = read_bytes(best);
  fs::remove(best);
  fs::remove(run + "/best_encoder.safetensors");
  REQUIRE(
      run_program("pretrain", set + " --val-fraction 0.25 --val-seed 7 --resume --out " + run + flags).code ==
      0);
  CHECK(read_bytes(best) == bytes);
  const auto evaluated = run_program(
      "evaluate", set + " --val-fraction 0.25 --val-seed 8 --encoder " + run + frozen + "--classifier " + run);
  CAPTURE(evaluated.output);
  CHECK(evaluated.code == 0);
  CHECK(says(evaluated, "warning: the encoder was trained with --val-fraction 0.25 --val-seed 7: "));
  CHECK(!says(evaluated, "warning: the classifier"));  // it would say the same
  REQUIRE(run_program("pretrain", set + " --out " + own + flags).code == 0);
  CHECK(metadata_of(own + "/classifier.safetensors", "val_fraction") == "none");
}

TEST_CASE("held-out images: an encoder that was trained on a pack knows what was held out when it was packed") {
  const TemporaryFolder folder;
  const std::string set = folder / "alone", pack = folder / "set.kpack", run = folder / "run",
                    probe = folder / "probe";
  fs::rename(draw_tiny_set(folder) + "/train", set);
  REQUIRE(run_program("pack_dataset", set + " " + pack).code == 0);
  REQUIRE(run_program("pretrain", pack + " --out " + run + tiny).code == 0);
  for (const char* name : {"/encoder.safetensors", "/best_encoder.safetensors"}) {
    CHECK(metadata_of(run + name, "val_fraction") == "0.1");
    CHECK(metadata_of(run + name, "val_seed") == "0");
  }
  const auto probed = [&](const std::string& what) {
    const auto result =
        run_program("linear_probe", what + probe_flags + "--overwrite --out " + probe + " --encoder " + run);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    return result;
  };
  // The same images: in the folder that was packed, and in the pack.
  CHECK(!says(probed(set), "warning: the encoder"));
  CHECK(metadata_of(probe + "/classifier.safetensors", "val_fraction") == "0.1");
  CHECK(!says(probed(pack), "warning: the encoder"));
  CHECK(metadata_of(probe + "/classifier.safetensors", "val_fraction") == "0.1");
  // Others, which it was trained on.
  const std::string warning = "warning: the encoder was trained with --val-fraction 0.1 --val-seed 0: ";
  CHECK(says(probed(set + " --val-seed 3"), warning));
  CHECK(says(probed(pack + " --val-fraction 0.1"), warning));
  const std::string model = frozen + "--encoder " + run + " --classifier " + probe;
  CHECK(!says(run_program("evaluate", set + " --split val" + model), "warning: the encoder"));
  CHECK(
      says(run_program("evaluate", set + model), "warning: the encoder was trained on all but 0.1 of a set: "));
}

TEST_CASE(
    "held-out images: an encoder of a pack with images for validation of its own says nothing, and is warned "
    "of") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), pack = folder / "set.kpack", run = folder / "run";
  REQUIRE(run_program("pack_dataset", set + " " + pack).code == 0);
  REQUIRE(run_program("pretrain", pack + " --out " + run + tiny).code == 0);
  CHECK(metadata_of(run + "/encoder.safetensors", "val_fraction") == "none");
  const auto probed = run_program("linear_probe", pack + " --val-fraction 0.25" + probe_flags + "--out " +
                                                      (folder / "probe").string() + " --encoder " + run);
  CAPTURE(probed.output);
  CHECK(probed.code == 0);
  CHECK(says(probed, "warning: the encoder was trained without --val-fraction: "));
}

}  // namespace
}  // namespace kindred
