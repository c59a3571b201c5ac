// Whether an encoder or a classifier was trained on the images that it is measured on: what their files say, and when
// programs warn.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/weights_file.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <map>
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
  CHECK(seen_images_warnings(&silent, classifier_with(seventh), images_of("test", {})).empty());
  CHECK(seen_images_warnings(&silent, classifier_with(seventh), images_of("val", {})).empty());
  // Images that were held out when a pack was made.
  const Dataset of_pack = images_of("val", HeldOutShare{0.25, 8});
  CHECK(seen_images_warnings(&silent, classifier_with(seventh), of_pack) ==
        Lines{"warning: the encoder was trained without --val-fraction" + end, classifier_warning});
  CHECK(seen_images_warnings(&same, classifier_with(eighth), of_pack).empty());
  const std::string all =
      " was trained on all but 0.25 of a set: if that was this one, most of these images are its training "
      "images, and figures are too good; --split val --val-fraction 0.25 --val-seed 7 measures those that it "
      "did not see";
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
  CHECK(
      seen_images_warning(of_part, images_of("all", {})) ==
      "warning: the encoder was trained on a part of a set: if that was this one, most of these images are its "
      "training images, and figures are too good; --split val --val-fraction 0.1 --val-seed 0 measures those "
      "that it did not see");
}

TEST_CASE("seen images: shares that hold out the same number of every class are the same") {
  const EncoderInfo tenth = encoder_with(HeldOutImages{0.1, 0});
  const auto warns = [&](const std::vector<std::int64_t>& images, double fraction, std::uint64_t seed) {
    Dataset set = images_of("held out", HeldOutShare{fraction, seed});
    Origin origin = set.origin();
    origin.divided = images;
    set.set_origin(origin);
    return !seen_images_warning(tenth, set).empty();
  };
  CHECK(!warns({12, 12}, 0.12, 0));  // 1 and 1, as of 0.1
  CHECK(warns({12, 48}, 0.12, 0));   // 6 of 48, not 5
  CHECK(!warns({12, 48}, 0.10000001, 0));
  CHECK(warns({12, 12}, 0.12, 1));
  CHECK(warns({}, 0.12, 0));  // the numbers are not known
}

TEST_CASE("seen images: an encoder that began with another one has seen what that one has") {
  EncoderInfo info = encoder_with(HeldOutImages{0.1, 0});
  info.trained_before = {std::nullopt, HeldOutImages{0.25, 7}};
  CHECK(
      seen_images_warning(info, images_of("held out", HeldOutShare{0.1, 0})) ==
      "warning: the encoder that this encoder began with was trained with --val-fraction 0.25 --val-seed 7: if "
      "that was on this set, it has seen images that it is now evaluated on (--val-fraction 0.1 --val-seed 0), "
      "and figures are too good; give all trainings the same");
  info.trained_before = {HeldOutImages{0.25, 0}};
  CHECK(seen_images_warning(info, images_of("held out", HeldOutShare{0.1, 0})).empty());
  CHECK(seen_images_warning(info, images_of("val", {})).empty());
}

TEST_CASE("encoder files: what was held out of the trainings before, each once, and what makes no sense") {
  using Texts = std::map<std::string, std::string>;
  const std::string list =
      R"([{},{"trained_on_all":"0123456789abcdef"},{"val_before":"[[0.1,0]]","val_fraction":"0.25","val_seed":"7"}])";
  EncoderInfo info = encoder_with(HeldOutImages{0.5, 1});
  info.trained_before = {std::nullopt, HeldOutImages{0, 0, {}, "0123456789abcdef"},
                         HeldOutImages{0.25, 7, {{0.1, 0}}}};
  CHECK((parse_trained_before("FILE", Texts{{"trained_before", list}}) == info.trained_before));
  CHECK(parse_trained_before("FILE", Texts{}).empty());
  CHECK(trainings_up_to(info).size() == 4);
  CHECK((trainings_up_to(info).back() == HeldOutImages{0.5, 1}));
  info.held_out.reset();
  CHECK((trainings_up_to(info) == info.trained_before));

  const TemporaryFolder folder;
  const std::string file = folder / "encoder.safetensors";
  SafetensorsWriter writer;
  add_encoder_info(writer, info);
  writer.add("fc.bias", classifier_with({}).bias);
  writer.write(file);
  CHECK(SafetensorsFile(file).metadata().at("trained_before") == list);
  for (const char* wrong : {"{}", "[1]", "[[]]", R"([{"val_fraction":0.25}])", "[{"}) {
    CAPTURE(wrong);
    const auto parse = [&] { parse_trained_before("FILE", Texts{{"trained_before", wrong}}); };
    CHECK(
        test::error_of(parse) ==
        "FILE: the metadata's \"trained_before\" should be a list of objects like {\"val_fraction\": \"0.1\", "
        "\"val_seed\": \"0\"}");
    CHECK(test::code_of(parse) == ExitCode::file);
  }
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
  const HeldOutImages nothing{0, 0, {}, "0123456789abcdef"};
  save_classifier(file, classifier_with(nothing));
  CHECK((load_classifier(file, 1).held_out == nothing));
  CHECK(SafetensorsFile(file).metadata().at("trained_on_all") == "0123456789abcdef");
  CHECK(!SafetensorsFile(file).metadata().contains("val_fraction"));  // earlier versions refuse a 0
  save_classifier(file, classifier_with({}));
  CHECK(!load_classifier(file, 1).held_out);
  CHECK(!SafetensorsFile(file).metadata().contains("trained_on_all"));
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
  for (const char* fingerprint : {"", "0123", "0123456789ABCDEF", "0123456789abcdef0"})
    CHECK(test::error_of([&] {
            loaded_with({{"trained_on_all", fingerprint}});
          }) == file + ": the metadata's \"trained_on_all\" should be 16 hexadecimal digits");
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
  // One of eight images of each class, as with a tenth; and two.
  CHECK(!says(probed(set + " --val-fraction 0.12"), "warning: the encoder"));
  CHECK(says(probed(set + " --val-fraction 0.2"), warning));
  const std::string eighth = folder / "eighth.kpack";
  REQUIRE(run_program("pack_dataset", set + " " + eighth + " --val-fraction 0.12").code == 0);
  CHECK(!says(probed(eighth), "warning: the encoder"));
  REQUIRE(probed(set).code == 0);
  const std::string model = frozen + "--encoder " + run + " --classifier " + probe;
  CHECK(!says(run_program("evaluate", set + " --split val" + model), "warning: the encoder"));
  CHECK(
      says(run_program("evaluate", set + model), "warning: the encoder was trained on all but 0.1 of a set: "));
}

TEST_CASE("held-out images: those of a pack are warned of like those of the folder with the same flags") {
  const TemporaryFolder folder;
  const std::string set = folder / "alone", half = folder / "half.kpack", all = folder / "all.kpack",
                    run = folder / "run", probe = folder / "probe";
  fs::rename(draw_tiny_set(folder) + "/train", set);
  const std::string flags = " --val-fraction 0.5 --val-seed 5";
  REQUIRE(run_program("pack_dataset", set + " " + half + flags).code == 0);
  REQUIRE(run_program("pack_dataset", set + " " + all + " --val-fraction 0").code == 0);
  REQUIRE(run_program("pretrain", all + " --out " + run + tiny).code == 0);
  const std::string encoder = " --encoder " + run;
  REQUIRE(run_program("linear_probe", set + encoder + probe_flags + "--out " + probe).code == 0);
  const std::string end =
      ": if that was on this set, it has seen images that it is now evaluated on (--val-fraction 0.5 "
      "--val-seed "
      "5), and figures are too good; give both programs the same\n";
  const std::string model = encoder + frozen + "--classifier " + probe;
  for (const std::string& what : {half, set + flags}) {
    CAPTURE(what);
    const auto evaluated = run_program("evaluate", what + model);
    CAPTURE(evaluated.output);
    CHECK(evaluated.code == 0);
    CHECK(says(evaluated, "warning: the encoder was trained with nothing held out" + end));
    CHECK(says(evaluated, "warning: the classifier was trained with --val-fraction 0.1 --val-seed 0" + end));
  }
  CHECK(!says(run_program("evaluate", half + " --split train" + model), "warning: the "));
  const auto probed = run_program("linear_probe", half + encoder + probe_flags + "--overwrite --out " + probe);
  CAPTURE(probed.output);
  CHECK(probed.code == 0);
  CHECK(says(probed, "warning: the encoder was trained with nothing held out" + end));
  CHECK(!says(run_program("evaluate", half + model), "warning: the classifier"));  // now it is of this pack
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
