// What is said at the end of a run.
#include "../../../programs.h"

#include <fmt/core.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/run/verdict/verdict.h>

#include <sys/stat.h>  // defines: mkfifo

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

RunState run_with(std::optional<double> untrained, std::optional<double> neighbours, double uniformity = -2) {
  RunState run;
  run.untrained = untrained;
  nlohmann::json line = {{"epoch", 1}, {"seconds", 40.0}, {"knn_top1", nullptr}};
  line["features"]["uniformity"] = uniformity;
  if (neighbours) line["knn_top1"] = *neighbours;
  run.metrics = {line};
  return run;
}

TEST_CASE("verdict: learned, no better than before, no better than chance, collapsed, or nothing") {
  const Chance quarter{0.25, 400};
  const LossOptions loss;
  CHECK(is_clearly_above(0.30, 0.25, 400));  // two deviations are 0.0433
  CHECK(!is_clearly_above(0.29, 0.25, 400));
  CHECK(verdict(run_with(0.4, 0.8), quarter, loss, true) ==
        "verdict: the encoder has learned: neighbours 0.800 on 400 images, untrained 0.400, chance 0.250");
  CHECK(verdict(run_with({}, 0.8), quarter, loss, true) ==
        "verdict: the encoder has learned: neighbours 0.800 on 400 images, chance 0.250");
  CHECK(verdict(run_with(0.4, 0.42), quarter, loss, true) ==
        "verdict: the features are not clearly better than those of an untrained encoder: neighbours 0.420 on "
        "400 images, untrained 0.400, chance 0.250");
  CHECK(verdict(run_with(0.4, 0.36), quarter, loss, false) ==
        "verdict: the features are not clearly better than those that the run began with: neighbours 0.360 on "
        "400 images, before the first step 0.400, chance 0.250");
  CHECK(verdict(run_with(0.4, 0.35), quarter, loss, false) ==
        "verdict: the features are worse than those that the run began with: neighbours 0.350 on 400 images, "
        "before the first step 0.400, chance 0.250");
  CHECK(
      verdict(run_with(0.2, 0.26), quarter, loss, true) ==
      "verdict: no clear sign of learning, the features are as good as chance: neighbours 0.260 on 400 images, "
      "untrained 0.200, chance 0.250");
  CHECK(verdict(run_with(0.2, 0.26, -0.01), quarter, loss, true) ==
        "verdict: the encoder has collapsed: all features are nearly equal (uniformity -0.010); try a lower "
        "--lr or "
        "more --warmup-epochs");
  CHECK(verdict(run_with({}, {}, -0.01), {}, loss, true).starts_with("verdict: the encoder has collapsed"));
  CHECK(
      verdict(run_with(0.2, 0.8, -0.01), quarter, loss, true).starts_with("verdict: the encoder has learned"));
  CHECK(verdict(run_with({}, {}), quarter, loss, true).empty());
  CHECK(verdict(run_with({}, 0.8), {}, loss, true).empty());
  CHECK(verdict(RunState(), quarter, loss, true).empty());
}

TEST_CASE("verdict: a frozen encoder has neither collapsed nor learned, whatever its new head gives") {
  const Chance quarter{0.25, 400};
  const LossOptions loss;
  const std::string frozen =
      "verdict: the encoder is frozen, and its features are those that the run began with";
  CHECK(verdict(run_with(0.2, 0.26, -0.01), quarter, loss, false, false) ==
        frozen +
            ": neighbours 0.260 on 400 images, before the first step 0.200, chance 0.250; the outputs of the "
            "head are nearly equal (uniformity -0.010)");
  CHECK(verdict(run_with(0.8, 0.8), quarter, loss, false, false) ==
        frozen + ": neighbours 0.800 on 400 images, before the first step 0.800, chance 0.250");
  CHECK(verdict(run_with({}, {}, -0.01), {}, loss, false, false) ==
        frozen + "; the outputs of the head are nearly equal (uniformity -0.010)");
  CHECK(verdict(run_with({}, {}), {}, loss, false, false).empty());
}

TEST_CASE("verdict: --freeze-until encoder with a new head is not called a collapse") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), first = folder / "first", second = folder / "second";
  REQUIRE(run_program("pretrain", set + " --out " + first + tiny).code == 0);
  const auto frozen =
      run_program("pretrain", set + " --weights " + first + " --freeze-until encoder --out " + second +
                                  " -b 8 -j 1 --epochs 1 --lr 0 --model resnet20 --image-size 32");
  CAPTURE(frozen.output);
  CHECK(frozen.code == 0);
  CHECK(!says(frozen, "collaps"));
  CHECK(says(frozen, "verdict: the encoder is frozen, and its features are those that the run began with"));
}

TEST_CASE("verdict: chance is the share of the largest class") {
  const Dataset uneven({"ant", "bee", "cat"}, {0, 1, 1, 1, 2}, nullptr, false);
  CHECK(chance_of(uneven).accuracy == doctest::Approx(0.6));
  CHECK(chance_of(uneven).images == 5);
}

TEST_CASE("verdict: a figure of fewer images than the set has is compared with chance on these") {
  const Dataset four({"ant", "bee", "cat"}, {0, 1, 1, 2}, nullptr, false);
  RunState run = run_with(0.2, 0.5);
  CHECK(chance_of(run, four).accuracy == doctest::Approx(0.5));
  CHECK(chance_of(run, four).images == 4);
  run.metrics.back()["knn_images"] = 3;
  run.metrics.back()["knn_chance"] = 0.375;
  run.metrics.push_back({{"epoch", 2}, {"knn_top1", nullptr}});  // not measured
  CHECK(chance_of(run, four).accuracy == doctest::Approx(0.375));
  CHECK(chance_of(run, four).images == 3);
}

TEST_CASE("verdict: evaluation images that cannot be read are named, listed, and not counted") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 4, 16), run = folder / "run";
  std::filesystem::path unreadable;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(set + "/val"))
    if (entry.is_regular_file()) unreadable = entry.path();
  REQUIRE(!unreadable.empty());
  std::filesystem::remove(unreadable);
  REQUIRE(::mkfifo(unreadable.c_str(), 0600) == 0);
  const auto result = run_program("pretrain", set + " --loss cross_entropy --out " + run + tiny);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result, "warning: of those to evaluate on, 1 image could not be read and is left out: " +
                         unreadable.string() + ": is not a regular file\n"));
  CHECK(says(result, " (chance 0.267)\n"));  // 4 of 15
  CHECK(says(result, " on 15 images, "));
  CHECK(says(result, ", chance 0.267\n"));
  CHECK(says(result, "1 image could not be read or is damaged; it is listed in " + run + "/bad_images.tsv\n"));
  CHECK(read_bytes(run + "/bad_images.tsv") ==
        "path\toutcome\treason\n" + unreadable.string() + "\trejected\tis not a regular file\n");
  const nlohmann::json line = json_lines(run + "/metrics.jsonl").back();
  CHECK(line.at("knn_images") == 15);
  CHECK(line.at("knn_chance").get<double>() == doctest::Approx(4.0 / 15));
  const double right = 15 * line.at("knn_top1").get<double>();
  CHECK(right == doctest::Approx(std::round(right)));
}

TEST_CASE("verdict: the epochs, their time, and the best of them") {
  RunState run = run_with({}, {});
  CHECK(describe_epochs(run, {}, "") == "1 epoch took 40 s");
  run.metrics.push_back({{"epoch", 2}, {"seconds", 80.0}});
  CHECK(describe_epochs(run, 2, "neighbours 0.800") ==
        "2 epochs took 2 min; the best was epoch 2 (neighbours 0.800)");
  run.metrics.push_back({{"epoch", 3}});  // of an earlier version
  CHECK(describe_epochs(run, 2, "") == "3 epochs; the best was epoch 2");
  CHECK(describe_epochs(RunState(), {}, "").empty());
  CHECK(format_rough_duration(59) == "59 s");
  CHECK(format_rough_duration(750) == "13 min");
  CHECK(format_rough_duration(3 * 3600 + 600) == "3 h 10 min");
  CHECK(format_rough_duration(52 * 3600) == "2 d 4 h");
}

TEST_CASE("verdict: the next command has the flags of the data set, quoted for the shell") {
  PretrainOptions o;
  o.data.path = "my photos";
  o.data.labels = "it's.csv";
  o.data.val_fraction = 0.2;
  o.data.val_seed = 3;
  o.out = "runs/a";
  CHECK(next_command(o, true, false) ==
        command_of_program("linear_probe") +
            " 'my photos' --labels 'it'\\''s.csv' --val-fraction 0.2 --val-seed 3 --encoder "
            "runs/a/encoder.safetensors --out runs/a/probe");
  CHECK(next_command(o, true, true) ==
        command_of_program("classify") +
            " IMAGE.jpg --encoder runs/a/encoder.safetensors --classifier runs/a/classifier.safetensors");
  o.data = DataFlags();
  o.data.path = "set";
  CHECK(next_command(o, false, false) ==
        command_of_program("embed") +
            " set --split train --encoder runs/a/encoder.safetensors --out runs/a/features.npz");
  CHECK(next_command(o, false, false, "set/train") ==
        command_of_program("embed") +
            " set/train --encoder runs/a/encoder.safetensors --out runs/a/features.npz");
  o.data.path = "-set";  // is no flag
  CHECK(next_command(o, true, false) ==
        command_of_program("linear_probe") + " ./-set --encoder runs/a/encoder.safetensors --out runs/a/probe");
}

TEST_CASE("verdict: the next command leaves out what the next program does by itself") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), alone = folder / "alone", out = folder / "run";
  std::filesystem::copy(set + "/train", alone, std::filesystem::copy_options::recursive);
  const auto next = [&](const DataFlags& data, bool has_evaluation) {
    PretrainOptions o;
    o.data = data;
    o.out = out;
    const std::string command = next_command(o, has_evaluation, false);
    const std::size_t begin = command.find(' ') + 1;
    return command.substr(begin, command.find(" --encoder ") - begin);
  };
  // As a config.json gives them, which holds every value.
  DataFlags data;
  data.path = set;
  data.limit_eval = 0;
  data.val_fraction = 0;
  data.named_split = "evaluation";
  CHECK(next(data, true) == set);
  data.limit_per_class = data.limit_eval.emplace(7);
  CHECK(next(data, true) == set + " --limit-per-class 7");
  data.limit_eval = 0;
  CHECK(next(data, true) == set + " --limit-per-class 7 --limit-eval-per-class 0");
  data = DataFlags();
  data.path = alone;
  data.val_fraction = 0.1;
  CHECK(next(data, true) == alone);
  data.val_fraction = 0.25;
  data.val_seed = 3;
  data.named_split = "val";
  CHECK(next(data, true) == alone + " --val-fraction 0.25 --val-seed 3 --split val");
  data = DataFlags();
  data.path = alone;
  data.val_fraction = 0;  // without it a tenth would be held out
  CHECK(next(data, false) == alone + " --val-fraction 0 --split train");
}

TEST_CASE("verdict: an early end says which epoch was the last that improved, if the best one only equals it") {
  RunState run;
  run.epochs_done = 10;
  run.stale_epochs = 3;
  run.best_by = "neighbours";
  const std::string plain = "--early-stop 3: the figure has not improved for 3 epochs, and the run ends";
  CHECK(early_end(run, 20, 3) == plain);
  CHECK(early_end(run, 20, 3, 7) == plain);
  CHECK(early_end(run, 20, 3, 9) ==
        plain +
            "; epoch 9 has the same figure as epoch 7, and counts as the best because its loss is not higher");
  run.best_by = "loss";
  CHECK(early_end(run, 20, 3, 10) ==
        plain + "; epoch 10 has the same figure as epoch 7, and counts as the best because it is later");
  CHECK(early_end(run, 10, 3, 10).empty());  // it has done all its epochs
  CHECK(early_end(run, 20, 4, 10).empty());
  run.stale_epochs = 10;  // none was better than none
  CHECK(early_end(run, 20, 3, 10) ==
        "--early-stop 3: the figure has not improved for 10 epochs, and the run ends");
}

TEST_CASE(
    "verdict: a run says where it began, what it has come to, and a next command that works; lines have "
    "times") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const auto whole = run_program("pretrain", set + " --knn-every 1 --out " + run + tiny + "--epochs 2");
  CAPTURE(whole.output);
  CHECK(whole.code == 0);
  CHECK(says(whole, "before the first step: neighbours "));
  CHECK(says(whole, "(chance 0.333)\n"));
  CHECK(says(whole, "\nverdict: "));
  CHECK(says(whole, " on 6 images, untrained "));
  CHECK(says(whole, "\n2 epochs took "));
  const auto line_of = [&](const std::string& begin) {
    const std::size_t at = whole.output.find(begin);
    REQUIRE(at != std::string::npos);
    return whole.output.substr(at, whole.output.find('\n', at) - at);
  };
  CHECK(line_of("epoch 1/2  loss ").ends_with(" left"));
  CHECK(!line_of("epoch 2/2  loss ").ends_with(" left"));
  const std::string next = set + " --encoder " + run + "/encoder.safetensors --out " + run + "/probe";
  CHECK(line_of("next: ").ends_with("linear_probe " + next));
  CHECK(run_program("linear_probe", next + " --epochs 1").code == 0);
  const auto lines = json_lines(run + "/metrics.jsonl");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].at("seconds").get<double>() > 0);
  const auto time = lines[0].at("time").get<std::string>();
  CHECK(time.size() == std::string("2025-03-01T09:30:00Z").size());
  CHECK(time.ends_with('Z'));
  // The figure of the start outlives an interruption.
  const RunState state = Checkpoint(run + "/checkpoint.safetensors").run();
  REQUIRE(state.untrained.has_value());
  const auto again =
      run_program("pretrain", set + " --knn-every 1 --resume --out " + run + tiny + "--epochs 2");
  CHECK(says(again, fmt::format("untrained {:.3f}", *state.untrained)));
  CHECK(!says(again, "before the first step: "));
  // The best epoch was chosen by neighbours, also for a process that measures none.
  const auto resumed =
      run_program("pretrain", set + " --knn-every 0 --resume --out " + run + tiny + "--epochs 2");
  CHECK(resumed.code == 0);
  CHECK(says(resumed, fmt::format(" (neighbours {:.3f})\n", state.best.value_or(-1))));
  const auto silent = run_program("pretrain", set + " --knn-every 0 --out " + (folder / "off").string() + tiny);
  CHECK(silent.code == 0);
  CHECK(!says(silent, "before the first step"));
  CHECK(!says(silent, "untrained"));
}

}  // namespace
}  // namespace kindred
