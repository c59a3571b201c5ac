// Fine-tuning, as a user runs it: begin with an encoder, train a classifier with it, freeze a part or slow it down.
#include "../by_hand.h"
#include "../programs.h"

#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/weights_file.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// An encoder that was trained elsewhere.
std::string write_encoder(const TemporaryFolder& folder, const std::string& model = "resnet20") {
  ParameterStore store;
  const ResNet encoder(store, resnet_spec(model), Stem::cifar);
  store.allocate(Device::cpu, 11);
  const std::string file = folder / (model + ".safetensors");
  save_encoder(file, store, EncoderInfo{model, Stem::cifar, 32, cifar10_pixels}, 5);
  return file;
}

void expect_refusal(const ProgramResult& result, int code, const std::string& text) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(says(result, text));
}

const std::string short_run = " --device cpu -b 8 -j 1 --loss cross_entropy --views 1 ";

TEST_CASE("fine-tuning writes a classifier that the other programs take, and the result that they measure") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", weights = write_encoder(folder);
  const std::string command =
      set + " --out " + run + short_run + "--epochs 2 --knn-every 1 --weights " + weights;
  const auto tuned = run_program("pretrain", command);
  CAPTURE(tuned.output);
  REQUIRE(tuned.code == 0);
  CHECK(says(tuned, ": --model resnet20 --stem cifar --image-size 32 --pixels cifar10\n"));
  CHECK(says(tuned, "\nclassifier: " + run + "/classifier.safetensors\n"));
  CHECK(says(tuned, "\nbest classifier: " + run + "/best_classifier.safetensors (epoch "));
  CHECK(says(tuned, "classifier of resnet20: top-1 "));

  const nlohmann::json result = json_file(run + "/result.json");
  CHECK(result.at("images") == 6);
  CHECK(result.at("classes") == 3);
  CHECK(result.at("train_images") == 24);
  CHECK(result.at("model") == "resnet20");
  CHECK(result.at("encoder") == run + "/encoder.safetensors");
  CHECK(result.at("image_size") == 32);
  CHECK(result.at("resize") == "crop");
  CHECK(result.at("exif") == "ignore");
  CHECK(result.at("settings").at("epochs") == 2);
  CHECK(result.at("top5") == 1);  // there are three classes
  const auto epochs = json_lines(run + "/metrics.jsonl");
  REQUIRE(epochs.size() == 2);
  CHECK(epochs[1].at("classifier_top1") == result.at("top1"));
  CHECK(epochs[1].at("classifier_top5") == 1);
  CHECK(epochs[0].at("classifier_top1").is_number());
  CHECK(says(tuned, fmt::format("classifier {:.3f}  ", epochs[1].at("classifier_top1").get<double>())));

  // The same accuracy by the program that only reads files.
  const std::string files =
      " --encoder " + run + "/encoder.safetensors --classifier " + run + "/classifier.safetensors";
  const std::string figures = folder / "figures.json";
  const auto evaluated = run_program("evaluate", set + files + " --device cpu --json " + figures);
  REQUIRE(evaluated.code == 0);
  CHECK(!says(evaluated, "another encoder"));
  CHECK(json_file(figures).at("top1") == result.at("top1"));
  const std::string image = fs::directory_iterator(fs::directory_iterator(set + "/val")->path())->path();
  CHECK(run_program("classify", image + files + " --device cpu").code == 0);
  const Classifier classifier = load_classifier(run + "/classifier.safetensors", 64);
  CHECK(classifier.classes() == 3);
  CHECK(classifier.class_names.size() == 3);
  CHECK(classifier.class_names[0] != "0");

  // A finished run measures again and writes the same.
  const std::string bytes = read_bytes(run + "/result.json");
  fs::remove(run + "/result.json");
  CHECK(run_program("pretrain", command + " --resume").code == 0);
  CHECK(read_bytes(run + "/result.json") == bytes);
}

TEST_CASE("fine-tuning: a classifier in the file is taken if it has as many classes, and else left out") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const int classes : {3, 5}) {
    CAPTURE(classes);
    const std::string file = folder / fmt::format("{}.safetensors", classes),
                      run = folder / fmt::format("{}", classes);
    ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp, classes);
    model.store.allocate(Device::cpu, 11);
    save_weights(file, model.store, WeightNames::torchvision,
                 EncoderInfo{"resnet20", Stem::cifar, 32, cifar10_pixels}, 0);
    const auto tuned = run_program("pretrain", set + " --out " + run + short_run +
                                                   "--epochs 1 --knn-every 0 --lr 0 " + "--weights " + file);
    CAPTURE(tuned.output);
    REQUIRE(tuned.code == 0);
    CHECK(says(tuned, "2 ignored: fc.weight, fc.bias, 2 missing and unchanged: fc.weight, fc.bias") ==
          (classes == 5));
    CHECK(says(tuned, "none ignored, none missing") == (classes == 3));
    const SafetensorsFile given(file), after(run + "/classifier.safetensors");
    CHECK(after.at("fc.weight").shape == std::vector<std::int64_t>{3, 64});
    if (classes == 3)
      CHECK(after.read<float>(after.at("fc.weight")) == given.read<float>(given.at("fc.weight")));
  }
}

TEST_CASE("fine-tuning: a run that was killed ends with the same encoder and classifier") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", killed = folder / "killed";
  const std::string weights = write_encoder(folder);
  const std::string flags = short_run + "--epochs 6 --knn-every 0 --checkpoint-every 2 --freeze-until layer1 " +
                            "--encoder-lr-factor 0.3 --weights " + weights + " ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  run_until_checkpoint(set, killed, flags);
  fs::remove(weights);  // a resumed run does not need it
  const auto resumed = run_program("pretrain", set + " --out " + killed + flags + " --resume");
  CAPTURE(resumed.output);
  REQUIRE(resumed.code == 0);
  for (const char* file : {"/encoder.safetensors", "/classifier.safetensors"})
    CHECK(read_bytes(killed + file) == read_bytes(whole + file));
  // What is frozen is a setting of the run.
  expect_refusal(run_program("pretrain", set + " --out " + killed + short_run +
                                             "--epochs 6 --knn-every 0 --encoder-lr-factor 0.3 --weights " +
                                             weights + " --resume"),
                 2, "freeze_until was \"layer1\"");
}

TEST_CASE("fine-tuning: frozen stages keep their bytes, with their running statistics; the others learn") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), weights = write_encoder(folder);
  const SafetensorsFile before(weights);
  for (const std::string optimizer : {"sgd", "lars", "rmsprop", "adamw"}) {
    CAPTURE(optimizer);
    const std::string run = folder / optimizer;
    const auto tuned = run_program("pretrain", set + " --out " + run + short_run + "--epochs 1 --knn-every 0 " +
                                                   "--weight-decay 0.1 --freeze-until layer2 --optimizer " +
                                                   optimizer + " --weights " + weights);
    CAPTURE(tuned.output);
    REQUIRE(tuned.code == 0);
    CHECK(says(tuned, "frozen up to layer2: "));
    const SafetensorsFile after(run + "/encoder.safetensors");
    for (const SafetensorsEntry& entry : before.entries()) {
      if (entry.dtype != "F32") continue;  // a counter of steps
      CAPTURE(entry.name);
      const bool learns = entry.name.starts_with("layer3.");
      CHECK((after.read<float>(after.at(entry.name)) != before.read<float>(entry)) == learns);
    }
  }
}

TEST_CASE("by hand: a frozen stem and stage, and a slower encoder") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder), weights = write_encoder(folder);
  set_compute_threads(2);
  const auto by_hand_with = [&](bool freezes, double factor) {
    ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp, 3);
    model.store.allocate(Device::cpu, 0);
    load_weights(weights, model.store);
    const auto is_frozen = [&](const std::string& name) {
      return freezes && (name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("layer1."));
    };
    Optimizer optimizer(model.store, SgdOptions{.momentum = 0.9, .weight_decay = 1e-4},
                        [&](const Parameter& parameter) {
                          if (is_frozen(parameter.name)) return 0.0;
                          return parameter.name.starts_with("fc.") ? 1.0 : factor;
                        });
    Loader batches = by_hand::loader(set, 0, 1);
    batches.start_epoch(0);
    Batch drawn;
    for (std::int64_t step = 0; step < by_hand::steps; ++step) {
      REQUIRE(batches.next(drawn));
      Tape tape;
      model.store.attach(tape);
      Tensor x = by_hand::normalized(drawn);
      for (std::size_t segment = 0; segment < model.encoder.segments(); ++segment)  // the stem and three blocks
        x = model.encoder.segment(segment, x, freezes && segment < 4 ? Mode::evaluate : Mode::train);
      const Tensor loss = cross_entropy(model.project(x), by_hand::for_each_view(drawn.labels, 1));
      tape.backward(loss);
      optimizer.set_learning_rate(by_hand::learning_rate(step));
      optimizer.step();
    }
    return by_hand::encoder_bytes(model.store, {std::nullopt});  // the file says nothing of its own images
  };
  const std::string flags = "--loss cross_entropy --views 1 --weights " + weights;
  const std::string frozen = by_hand_with(true, 1), slow = by_hand_with(false, 0.1),
                    both = by_hand_with(true, 0.1);
  CHECK(frozen != slow);
  CHECK(both != frozen);
  CHECK(by_hand::encoder_of_pretrain(set, flags + " --freeze-until layer1") == frozen);
  CHECK(by_hand::encoder_of_pretrain(set, flags + " --encoder-lr-factor 0.1") == slow);
  CHECK(by_hand::encoder_of_pretrain(set, flags + " --freeze-until layer1 --encoder-lr-factor 0.1") == both);
}

TEST_CASE("fine-tuning: what config.json holds, and what is refused") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", weights = write_encoder(folder);
  const std::string command = set + " --out " + run + short_run + "--epochs 1 --knn-every 0 ";
  const std::string tuning = command + "--weights " + weights;
  expect_refusal(run_program("pretrain", tuning + " --freeze-until layer4"), 2,
                 "--freeze-until layer4: resnet20 has stem, layer1, layer2, layer3, encoder");
  expect_refusal(run_program("pretrain", tuning + " --freeze-until layer9"), 2,
                 "--freeze-until layer9: resnet20 has stem, layer1, layer2, layer3, encoder");
  expect_refusal(run_program("pretrain", command + "--model resnet20 --image-size 32 --freeze-until layer1"), 2,
                 "--freeze-until layer1 without --weights");
  expect_refusal(run_program("pretrain", tuning + " --encoder-lr-factor 0"), 2, "--encoder-lr-factor 0");
  expect_refusal(run_program("pretrain", tuning + " --model resnet18"), 4, "does not fit the model");
  expect_refusal(
      run_program("pretrain", set + " --out " + run + " --device cpu -b 8 -j 1 --epochs 1 --knn-every 0 " +
                                  "--head none --freeze-until encoder --weights " + weights),
      2, "nothing is left to learn");
  CHECK(!fs::exists(run));
  // Files of the user's that a run with a classifier would replace.
  for (const char* name : {"/classifier.safetensors", "/result.json"}) {
    fs::create_directories(run);
    write_bytes(run + name, "mine");
    for (const char* flag : {"", " --overwrite", " --resume"})
      expect_refusal(run_program("pretrain", tuning + flag), 2, "is not of a run of pretrain");
    CHECK(read_bytes(run + name) == "mine");
    fs::remove_all(run);
  }
  REQUIRE(run_program("pretrain", tuning).code == 0);
  nlohmann::json config = json_file(run + "/config.json");
  CHECK(!config.contains("freeze_until"));
  CHECK(!config.contains("encoder_lr_factor"));
  CHECK(config.at("model") == "resnet20");
  CHECK(config.at("image_size") == 32);
  REQUIRE(
      run_program("pretrain", tuning + " --overwrite --freeze-until encoder --encoder-lr-factor 0.5").code ==
      0);
  config = json_file(run + "/config.json");
  CHECK(config.at("freeze_until") == "encoder");
  CHECK(config.at("encoder_lr_factor") == 0.5);
  // The default has a name, so that a file's stage can be taken back.
  const auto thawed = run_program(
      "pretrain", "--config " + run + "/config.json --freeze-until none --out " + (folder / "thawed").string());
  CAPTURE(thawed.output);
  CHECK(thawed.code == 0);
  CHECK(!json_file(folder / "thawed/config.json").contains("freeze_until"));
}

TEST_CASE("fine-tuning: its result belongs to its run, not to the folder around it") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), runs = folder / "runs", tuned = runs + "/tuned";
  const std::string other = set + " --out " + runs + " --device cpu -j 1 --knn-every 0" + tiny;
  REQUIRE(run_program("pretrain", set + " --out " + tuned + short_run + "--epochs 1 --knn-every 0 --weights " +
                                      write_encoder(folder))
              .code == 0);
  const auto before = folder_contents(tuned);
  REQUIRE(before.contains("result.json"));
  REQUIRE(run_program("pretrain", other).code == 0);
  REQUIRE(run_program("pretrain", other + " --overwrite").code == 0);
  CHECK(folder_contents(tuned) == before);
  // A run that trains no classifier leaves none of an earlier one.
  const auto again =
      run_program("pretrain", set + " --out " + tuned + " --overwrite --device cpu -j 1 --knn-every 0" + tiny);
  CAPTURE(again.output);
  REQUIRE(again.code == 0);
  CHECK(!fs::exists(tuned + "/classifier.safetensors"));
  CHECK(!fs::exists(tuned + "/result.json"));
}

}  // namespace
}  // namespace kindred
