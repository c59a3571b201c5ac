// The kind of figure by which the best epoch is chosen, and what happens when it changes.
#include "../../../programs.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/data/sets/toy.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The kind that a checkpoint of an earlier version is found to have, which does not say it.
std::string kind_found(double best, const std::vector<nlohmann::json>& lines) {
  RunState state;
  state.best = best;
  state.metrics = lines;
  nlohmann::json record = state.to_json();
  record.erase("best_by");
  const std::string kind = RunState::from_json(record).best_by;
  record["best_by"] = "\x1b[2J";  // by nobody's version
  CHECK(RunState::from_json(record).best_by == kind);
  return kind;
}

TEST_CASE("best epoch: a checkpoint says by which kind of figure, and an earlier one's lines do") {
  RunState state;
  state.best = 0.5;
  state.best_by = "classifier";
  state.best_on = "6 images (val)";
  CHECK(RunState::from_json(state.to_json()).best_by == "classifier");
  CHECK(RunState::from_json(state.to_json()).best_on == "6 images (val)");
  nlohmann::json earlier = state.to_json();
  earlier.erase("best_on");
  CHECK(RunState::from_json(earlier).best_on.empty());
  CHECK(RunState::from_json(RunState().to_json()).best_by.empty());

  const nlohmann::json none;
  using Line = nlohmann::json;
  CHECK(kind_found(0.5, {Line{{"loss", 2.0}, {"knn_top1", 0.5}}}) == "neighbours");
  CHECK(kind_found(-2, {Line{{"loss", 2.0}, {"knn_top1", none}}}) == "loss");
  CHECK(kind_found(0.5, {Line{{"loss", 2.0}, {"knn_top1", 0.25}, {"classifier_top1", 0.5}}}) == "classifier");
  // The first epoch by a version that measured no classifier.
  CHECK(kind_found(0.5, {Line{{"loss", 2.0}, {"knn_top1", 0.5}},
                         Line{{"loss", 1.0}, {"knn_top1", 0.25}, {"classifier_top1", 0.25}}}) == "neighbours");
  // No epoch has been measured yet.
  CHECK(kind_found(-1, {Line{{"loss", 2.0}, {"knn_top1", none}}}) == "neighbours");
  CHECK(kind_found(-1, {Line{{"loss", 2.0}, {"knn_top1", none}, {"classifier_top1", none}}}) == "classifier");
}

TEST_CASE("best epoch: with another kind of figure the comparison starts anew") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 1 ";
  REQUIRE(run_program("pretrain", flags + "--epochs 1 --knn-every 1").code == 0);
  const RunState first = Checkpoint(run + "/checkpoint.safetensors").run();
  CHECK(first.best_by == "neighbours");
  CHECK(first.best.value_or(-1) >= 0);
  // Minus a loss is below every accuracy.
  const auto by_loss = run_program("pretrain", flags + "--epochs 2 --knn-every 0 --resume --allow-change");
  CAPTURE(by_loss.output);
  REQUIRE(by_loss.code == 0);
  CHECK(
      says(by_loss,
           "the best epoch, so far chosen by neighbours, is now chosen by loss: the comparison starts anew\n"));
  CHECK(says(by_loss, "; the best was epoch 2 (loss "));
  const RunState second = Checkpoint(run + "/checkpoint.safetensors").run();
  CHECK(second.best_by == "loss");
  CHECK(second.best_step == 6);  // three steps an epoch
  CHECK(read_bytes(run + "/best_encoder.safetensors") == read_bytes(run + "/encoder.safetensors"));
  // Until the new figure is measured, in the last epoch, the best one stays.
  const auto by_neighbours =
      run_program("pretrain", flags + "--epochs 4 --knn-every 4 --resume --allow-change");
  CAPTURE(by_neighbours.output);
  REQUIRE(by_neighbours.code == 0);
  const auto line = by_neighbours.output.find("so far chosen by loss, is now chosen by neighbours");
  CHECK(line != std::string::npos);
  CHECK(line > by_neighbours.output.find("epoch 4/4"));
  CHECK(says(by_neighbours, "; the best was epoch 4 (neighbours "));
}

TEST_CASE("best epoch: on another part of the set the comparison starts anew, and config.json names the part") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  fs::copy(set + "/val", set + "/test", fs::copy_options::recursive);
  fs::remove_all(set + "/test/" + toy_class_name(0));
  const std::string flags =
      set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 1 --knn-every 1 ";
  REQUIRE(run_program("pretrain", flags + "--epochs 1").code == 0);
  CHECK(Checkpoint(run + "/checkpoint.safetensors").run().best_on == "6 images (val)");
  const std::string started = json_file(run + "/config.json").at("started");
  const auto on_test = run_program("pretrain", flags + "--epochs 2 --split test --resume --allow-change");
  CAPTURE(on_test.output);
  REQUIRE(on_test.code == 0);
  CHECK(says(on_test,
             "the best epoch, so far chosen by neighbours on 6 images (val), is now chosen by neighbours on 4 "
             "images (test): the comparison starts anew\n"));
  CHECK(says(on_test, "; the best was epoch 2 (neighbours "));
  CHECK(Checkpoint(run + "/checkpoint.safetensors").run().best_on == "4 images (test)");
  const nlohmann::json config = json_file(run + "/config.json");
  CHECK(config["evaluated_on"] ==
        nlohmann::json({{"folder", set + "/test"}, {"images", 4}, {"split", "test"}}));
  CHECK(config["started"] == started);
}

TEST_CASE("best epoch: a run that goes on with another --split alone says it in config.json") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  fs::copy(set + "/val", set + "/test", fs::copy_options::recursive);
  const std::string flags = set + " --out " + run + tiny;
  REQUIRE(run_program("pretrain", flags).code == 0);
  nlohmann::json expected = json_file(run + "/config.json");
  REQUIRE(expected["evaluated_on"]["split"] == "val");
  // The run is finished, so nothing is measured on other images.
  REQUIRE(run_program("pretrain", flags + "--resume --split test").code == 0);
  CHECK(json_file(run + "/config.json") == expected);
  // As if it had been killed before its first save.
  fs::remove_all(run + "/checkpoints");
  for (const char* name : {"checkpoint", "encoder", "best_encoder"})
    fs::remove(run + "/" + name + ".safetensors");
  const auto on_test = run_program("pretrain", flags + "--resume --split test");
  CAPTURE(on_test.output);
  REQUIRE(on_test.code == 0);
  expected["evaluated_on"] = {{"folder", set + "/test"}, {"images", 6}, {"split", "test"}};
  expected["split"] = "test";
  expected["command"] = json_file(run + "/config.json")["command"];  // of the start that has changed this
  CHECK(json_file(run + "/config.json") == expected);
}

}  // namespace
}  // namespace kindred
