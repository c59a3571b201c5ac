// What a report reads of a run, also of one that is broken, under way, or hostile.
#include "drawn_runs.h"

#include "../../errors.h"

#include <kindred/apps/report/run_files.h>
#include <kindred/apps/report/run_story.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <tuple>

namespace kindred {
namespace {

using test::random_lines;
using test::settings_of_drawn_run;
using test::write_run;

TEST_CASE("report: the table of a run has the numbers of its lines") {
  const TemporaryFolder folder;
  const auto lines = random_lines(37, 1, 5);
  const RunFiles run = read_run_files(write_run(folder, "run", lines, settings_of_drawn_run(37)));
  REQUIRE(run.metrics.rows() == 37);
  CHECK(run.notes.empty());
  CHECK(run.name == "run");
  CHECK(run.metrics.ended == "2026-01-02T03:04:05Z");
  for (std::size_t row = 0; row < 37; ++row) {
    CHECK(run.metrics.epochs[row] == static_cast<std::int64_t>(row) + 1);
    CHECK(run.metrics.at("loss", row) == lines[row].at("loss").get<double>());
    CHECK(run.metrics.at("features/similarity_negatives/mean", row) ==
          lines[row].at("features").at("similarity_negatives").at("mean").get<double>());
    CHECK(run.metrics.at("knn_top1", row).has_value() == ((row + 1) % 5 == 0));
  }
  CHECK(run.metrics.find("probe_top1") == nullptr);
  CHECK(run.metrics.newest_with("knn_top1") == 34);
  CHECK(run.metrics.positives == std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 5}, {3, 37}, {8, 2}});
  CHECK(condition_of(run) == RunCondition::finished);
}

TEST_CASE("report: a last line that is cut is left out with a note") {
  const TemporaryFolder folder;
  const auto lines = random_lines(5, 2);
  const auto run = write_run(folder, "run", lines, settings_of_drawn_run(9));
  const std::string whole = test::as_text(lines);
  for (const std::size_t cut : {std::size_t{1}, std::size_t{40}, lines.back().dump().size() - 1}) {
    CAPTURE(cut);
    write_bytes(run / "metrics.jsonl", whole.substr(0, whole.size() - 1 - lines.back().dump().size() + cut));
    const RunFiles read = read_run_files(run);
    CHECK(read.metrics.rows() == 4);
    REQUIRE(read.notes.size() == 1);
    CHECK(read.notes[0].find("cut off") != std::string::npos);
    CHECK(condition_of(read) == RunCondition::stopped);
  }
  // A whole line without its end is one.
  write_bytes(run / "metrics.jsonl", whole.substr(0, whole.size() - 1));
  CHECK(read_run_files(run).metrics.rows() == 5);
}

TEST_CASE("report: lines that are none are left out, and of two about one epoch the later one counts") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", {}, settings_of_drawn_run(9));
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  write_bytes(run / "metrics.jsonl",
              "{\"epoch\": 2, \"loss\": 3}\n" + deep +
                  "\nnull\n[1, 2]\n{\"loss\": 1}\n{\"epoch\": 1.5, \"loss\": 1}\n{\"epoch\": -1}\n{\"epoch\": "
                  "1e30}\n\n{\"epoch\": 1, \"loss\": \"NaN\", \"lr\": null, \"features\": 7, "
                  "\"knn_top1\": [0.5]}\n{\"epoch\": 2, \"loss\": 4, \"features\": {\"positives_histogram\": "
                  "[[1, 2], [3]], \"uniformity\": {}}}\n{\"epoch\": 3, \"loss\": 1e999}\n\xff\xfe\n");
  const RunFiles read = read_run_files(run);
  CHECK(read.metrics.epochs == std::vector<std::int64_t>{1, 2});
  CHECK(!read.metrics.at("loss", 0));
  CHECK(read.metrics.at("loss", 1) == 4);
  CHECK(read.metrics.columns.size() == 1);
  CHECK(read.metrics.positives.empty());
  REQUIRE(read.notes.size() == 1);
  CHECK(read.notes[0].starts_with("9 lines of metrics.jsonl are left out, the first is line 2"));
  CHECK(!verdict_in_words(read, Chance{0.1, 100}).starts_with("The encoder"));
}

TEST_CASE("report: a folder that is no run is refused, and the line says what is missing") {
  const TemporaryFolder folder;
  const auto message = [&](const std::filesystem::path& path) {
    CHECK(test::code_of([&] { read_run_files(path); }) == ExitCode::file);
    return test::error_of([&] { read_run_files(path); });
  };
  const auto says_what_to_do = [&](const std::filesystem::path& path) {
    const std::string line = message(path);
    CAPTURE(line);
    CHECK(line.find(path.string()) != std::string::npos);
    CHECK(line.find("expected the folder of a run") != std::string::npos);
    CHECK(line.find("give the folder that pretrain wrote its run to") != std::string::npos);
    CHECK(line.find("--out") == std::string::npos);  // report's own --out is another one
  };
  says_what_to_do(folder / "nothing");
  says_what_to_do(folder.path);
  CHECK(message(folder / "nothing").find("no such folder") != std::string::npos);
  CHECK(message(folder.path).find("holds no metrics.jsonl") != std::string::npos);
  write_bytes(folder / "file", "x");
  CHECK(message(folder / "file").find("is not a folder") != std::string::npos);
  says_what_to_do(folder / "file");
  // The folder above runs, and a run that has just begun.
  for (const char* const name : {"b run", "a run"})
    write_run(folder, std::string("above/") + name, random_lines(2, 1), {});
  CHECK(message(folder / "above").find("; give a run in it, such as " + (folder / "above/a run").string()) !=
        std::string::npos);
  write_bytes(folder / "config.json", "{}");
  CHECK(message(folder.path).find("wait until its first epoch has ended") != std::string::npos);
  for (const std::string bytes : {"", "\n\n", "{\"epoch\": 1, \"lo", "hello\n"}) {
    write_bytes(folder / "metrics.jsonl", bytes);
    CHECK(message(folder.path).find("not one whole line") != std::string::npos);
  }
  std::filesystem::remove(folder / "metrics.jsonl");
  std::filesystem::create_directory(folder / "metrics.jsonl");
  CHECK(message(folder.path).find("metrics.jsonl") != std::string::npos);
}

TEST_CASE("report: epochs without a line are a note, which names the first gaps") {
  const auto in_words = [](const std::vector<std::int64_t>& epochs) {
    return missing_epochs_in_words(epochs, "metrics.jsonl");
  };
  CHECK(in_words({}).empty());
  CHECK(in_words({1}).empty());
  CHECK(in_words({1, 2, 3}).empty());
  CHECK(in_words({1, 2, 4}) == "1 epoch has no line in metrics.jsonl: 3; curves go straight over it");
  CHECK(in_words({3, 4, 9}) ==
        "6 epochs have no line in metrics.jsonl: 1 to 2 and 5 to 8; curves go straight over them");
  CHECK(in_words({2, 4, 6, 8}) ==
        "4 epochs have no line in metrics.jsonl: 1, 3, 5 and 7; curves go straight over them");
  CHECK(in_words({2, 4, 6, 8, 10, 20}) ==
        "14 epochs have no line in metrics.jsonl: 1, 3, 5, 7 and 2 more gaps; curves go straight over them");
  const TemporaryFolder folder;
  auto lines = random_lines(12, 5);
  lines.erase(lines.begin() + 4, lines.begin() + 7);
  const RunFiles run = read_run_files(write_run(folder, "run", lines, settings_of_drawn_run(12)));
  REQUIRE(run.notes.size() == 1);
  CHECK(run.notes[0].starts_with("3 epochs have no line in metrics.jsonl: 5 to 7;"));
}

TEST_CASE("report: settings that cannot be read are a note") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", random_lines(3, 3), settings_of_drawn_run(3));
  for (const std::string bytes : {"", "[]", "{\"epochs\": ", "7"}) {
    CAPTURE(bytes);
    write_bytes(run / "config.json", bytes);
    const RunFiles read = read_run_files(run);
    CHECK(read.config.empty());
    REQUIRE(read.notes.size() == 1);
    CHECK(read.notes[0].find("config.json") != std::string::npos);
  }
  write_bytes(run / "config.json", "{\"epochs\": \"many\", \"loss\": 3, \"early_stop\": {}, \"weights\": []}");
  const RunFiles read = read_run_files(run);
  CHECK(!read.number("epochs"));
  CHECK(condition_of(read) == RunCondition::stopped);
  CHECK(!condition_in_words(read).empty());
  CHECK(!verdict_in_words(read, std::nullopt).empty());
  std::filesystem::remove(run / "config.json");
  CHECK(read_run_files(run).notes.size() == 1);
}

TEST_CASE(
    "report: a run that another process holds is under way; one with a loss that was not finite says so") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", random_lines(3, 3), settings_of_drawn_run(9));
  {
    const RunLock lock(run);
    CHECK(condition_of(read_run_files(run)) == RunCondition::under_way);
    CHECK(condition_in_words(read_run_files(run)).starts_with("under way: 3 of 9 epochs"));
  }
  CHECK(condition_in_words(read_run_files(run)).starts_with("stopped: 3 of 9 epochs"));
  write_bytes(run / "non_finite.json", "{\"step\": 10, \"epoch\": 4}");
  CHECK(condition_of(read_run_files(run)) == RunCondition::not_finite);
  CHECK(condition_in_words(read_run_files(run)).find("non_finite.json") != std::string::npos);
}

// A checkpoint of a run that has this state; its tensors do not matter.
void write_state(const std::filesystem::path& file, RunState state) {
  state.metrics.assign(static_cast<std::size_t>(state.epochs_done), nlohmann::json::object());
  std::filesystem::create_directories(file.parent_path());
  Checkpoint(ParameterStore(), {}, state).save(file);
  REQUIRE_NOTHROW(read_run_state(file));
}

TEST_CASE("report: a step that was skipped has ended no run, and neither has one that the run came past") {
  const TemporaryFolder folder;
  nlohmann::json settings = settings_of_drawn_run(9);
  const auto run = write_run(folder, "run", random_lines(3, 3), settings);
  const auto condition_with = [&](const char* list) {
    write_bytes(run / "non_finite.json", list);
    return condition_of(read_run_files(run));
  };
  CHECK(condition_with("{\"step\": 7, \"epoch\": 3}") == RunCondition::stopped);  // epoch 3 has ended since
  CHECK(condition_with("{}") == RunCondition::stopped);
  CHECK(condition_with("no JSON") == RunCondition::stopped);
  CHECK(read_run_files(run).notes.size() == 1);
  CHECK(condition_with("{\"step\": 10, \"epoch\": 4}") == RunCondition::not_finite);
  RunState state;
  state.epochs_done = 3;
  state.batches_done = 2;
  state.steps_done = 11;
  write_state(run / "checkpoint.safetensors", state);
  CHECK(condition_of(read_run_files(run)) == RunCondition::stopped);
  CHECK(condition_with("{\"step\": 12, \"epoch\": 4}") == RunCondition::not_finite);
  settings["on_nonfinite"] = "skip";
  write_bytes(run / "config.json", settings.dump());
  CHECK(condition_of(read_run_files(run)) == RunCondition::stopped);
}

TEST_CASE("report: a run of all epochs whose weights are of no use has not finished, it has failed") {
  const TemporaryFolder folder;
  nlohmann::json settings = settings_of_drawn_run(3);
  settings["on_nonfinite"] = "skip";
  auto lines = random_lines(3, 3);
  const auto run = write_run(folder, "run", lines, settings);
  RunState state;
  state.epochs_done = 3;
  state.steps_done = 30;
  for (const int skipped : {0, 4, 5, 10}) {  // half an epoch of ten steps
    CAPTURE(skipped);
    state.skipped_in_a_row = skipped;
    write_state(run / "checkpoint.safetensors", state);
    CHECK(condition_of(read_run_files(run)) ==
          (skipped >= 5 ? RunCondition::not_finite : RunCondition::finished));
  }
  CHECK(condition_in_words(read_run_files(run)).starts_with("failed: "));
  std::filesystem::remove(run / "checkpoint.safetensors");
  for (nlohmann::json& line : lines) {
    line["loss"] = nullptr;
    line["skipped_steps"] = 10;
  }
  write_bytes(run / "metrics.jsonl", test::as_text(lines));
  CHECK(condition_of(read_run_files(run)) == RunCondition::not_finite);
}

TEST_CASE("report: the best epoch is what the checkpoints say, and only without them what the lines say") {
  const TemporaryFolder folder;
  auto lines = random_lines(6, 8);
  for (int i = 0; i < 6; ++i) lines[static_cast<std::size_t>(i)]["knn_top1"] = 0.1 * (i + 1);
  const auto run = write_run(folder, "run", lines, settings_of_drawn_run(6));
  CHECK(best_epoch_of(read_run_files(run))->epoch == 6);
  RunState state;
  state.epochs_done = 6;
  state.steps_done = 60;
  state.best_step = 30;
  state.best = 0.3;
  state.best_by = "neighbours";
  write_state(run / "checkpoint.safetensors", state);
  auto best = best_epoch_of(read_run_files(run));
  REQUIRE(best.has_value());
  CHECK(best->epoch == 3);
  CHECK(best->in_words() == "neighbours 0.300");
  state.best_by = "loss";
  write_state(run / "checkpoint.safetensors", state);
  CHECK(best_epoch_of(read_run_files(run))->figure == lines[2].at("loss").get<double>());
  // An earlier version has only the figure: the lines must do.
  state.best_step = -1;
  state.best_by = "";
  write_state(run / "checkpoint.safetensors", state);
  CHECK(best_epoch_of(read_run_files(run))->epoch == 6);
  // No epoch was a candidate, for they had all diverged.
  state.best.reset();
  write_state(run / "checkpoint.safetensors", state);
  CHECK(!best_epoch_of(read_run_files(run)));
  // Without the newest checkpoint, that of the best epoch says when it was taken.
  std::filesystem::remove(run / "checkpoint.safetensors");
  state.epochs_done = 4;
  state.steps_done = 40;
  write_state(run / "checkpoints/step-000000040.safetensors", state);
  write_bytes(run / "checkpoints/best.txt", "step-000000040.safetensors\n");
  CHECK(best_epoch_of(read_run_files(run))->epoch == 4);
  write_bytes(run / "checkpoints/best.txt", "../../checkpoint.safetensors\n");
  CHECK(best_epoch_of(read_run_files(run))->epoch == 6);
}

TEST_CASE("report: lines of more epochs than a report takes are left out with a note") {
  const TemporaryFolder folder;
  auto lines = random_lines(12, 8);
  lines.insert(lines.begin() + 10, lines[3]);  // of an epoch that is known
  const auto run = write_run(folder, "run", lines, settings_of_drawn_run(12));
  std::vector<std::string> notes;
  CHECK(read_metric_lines(run / "metrics.jsonl", notes, 10).rows() == 10);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == "lines of metrics.jsonl from 12 on are left out: a report takes 10 epochs at most");
  notes.clear();
  CHECK(read_metric_lines(run / "metrics.jsonl", notes, 12).rows() == 12);
  CHECK(notes.empty());
}

// The rule of docs/running.md, by sorting.
std::optional<std::int64_t> best_by_sorting(const std::vector<nlohmann::json>& lines, const char* measure) {
  std::vector<std::tuple<double, double, std::int64_t>> ranked;
  for (const nlohmann::json& line : lines) {
    if (line.at("loss").is_null()) continue;
    const double loss = line.at("loss").get<double>();
    const bool is_loss = std::string(measure) == "loss";
    const double figure = is_loss ? -loss : line.at(measure).is_null() ? -1 : line.at(measure).get<double>();
    ranked.emplace_back(figure, -loss, line.at("epoch").get<std::int64_t>());
  }
  if (ranked.empty()) return std::nullopt;
  return std::get<2>(*std::max_element(ranked.begin(), ranked.end()));
}

TEST_CASE("report: the best epoch is the one that pretrain keeps") {
  std::mt19937 random(5);
  for (int trial = 0; trial < 200; ++trial) {
    CAPTURE(trial);
    auto lines = random_lines(1 + static_cast<int>(random() % 30), static_cast<unsigned>(trial));
    const char* const measure = trial % 3 == 0 ? "loss" : trial % 3 == 1 ? "knn_top1" : "classifier_top1";
    for (nlohmann::json& line : lines) {
      // Few values, so that many are equal.
      line["loss"] = random() % 8 == 0 ? nlohmann::json() : nlohmann::json(static_cast<double>(random() % 4));
      line["knn_top1"] = nullptr;
      if (trial % 3 != 0)
        line[measure] =
            random() % 3 == 0 ? nlohmann::json() : nlohmann::json(static_cast<double>(random() % 5) / 5);
    }
    MetricLines read;
    bool is_measured = trial % 3 == 0, is_measured_with_loss = is_measured;
    for (const nlohmann::json& line : lines) {
      REQUIRE(read.add(line));
      if (trial % 3 == 0 || line.at(measure).is_null()) continue;
      is_measured = true;
      is_measured_with_loss |= !line.at("loss").is_null();
    }
    const auto best = best_epoch_of(read.table());
    // Where nothing was measured the loss decides.
    const auto expected = best_by_sorting(lines, is_measured ? measure : "loss");
    if (is_measured && !is_measured_with_loss) {
      CHECK(!best);
      continue;
    }
    REQUIRE(best.has_value() == expected.has_value());
    if (best) CHECK(best->epoch == *expected);
  }
}

TEST_CASE("report: the verdict is that of pretrain, as a sentence") {
  const TemporaryFolder folder;
  auto lines = random_lines(2, 4);
  lines[1]["knn_top1"] = 0.8;
  lines[1]["features"]["uniformity"] = -2;
  RunFiles run = read_run_files(write_run(folder, "run", lines, settings_of_drawn_run(2)));
  run.untrained = 0.3;
  CHECK(verdict_in_words(run, Chance{0.1, 500}) ==
        "The encoder has learned: neighbours 0.800 on 500 images, untrained 0.300, chance 0.100");
  CHECK(verdict_in_words(run, Chance{0.79, 500}).starts_with("No clear sign of learning"));
  CHECK(verdict_in_words(run, std::nullopt) ==
        "Neighbours 0.800, untrained 0.300; without the data set it is not known what chance is");
  // The run says on how many images, where some could not be read.
  lines[1]["knn_images"] = 50;
  lines[1]["knn_chance"] = 0.25;
  run = read_run_files(write_run(folder, "run", lines, settings_of_drawn_run(2)));
  CHECK(chance_for(run, Chance{0.1, 500})->images == 50);
  lines[1]["knn_images"] = 1e300;
  run = read_run_files(write_run(folder, "run", lines, settings_of_drawn_run(2)));
  CHECK(chance_for(run, Chance{0.1, 500})->images == 500);
}

TEST_CASE("report: names of runs are as short as tells them apart") {
  CHECK(names_of_runs({"/a/b/run"}) == std::vector<std::string>{"run"});
  CHECK(names_of_runs({"/a/b/run/", "/a/c/run", "/a/c/other/."}) ==
        std::vector<std::string>{"b/run", "c/run", "c/other"});
  CHECK(names_of_runs({"/a/run", "/a/run"}) == std::vector<std::string>{"1: a/run", "2: a/run"});
}

}  // namespace
}  // namespace kindred
