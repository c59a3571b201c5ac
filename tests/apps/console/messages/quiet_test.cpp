// What programs print with --quiet and --log-every, and what their results say about the command.
#include "../../programs.h"

#include <doctest/doctest.h>
#include <kindred/apps/console/messages/start_facts.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace kindred {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Every line is a warning or begins with one of these.
void check_only(const ProgramResult& result, const std::vector<std::string>& beginnings) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
  for (const std::string& line : lines_of(result.output)) {
    CAPTURE(line);
    CHECK((line.starts_with("warning: ") ||
           std::any_of(beginnings.begin(), beginnings.end(),
                       [&](const std::string& beginning) { return line.starts_with(beginning); })));
  }
  CHECK(says(result, beginnings.front()));
}

TEST_CASE("--quiet: only warnings and the last lines, in every program that works for long") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", encoder = run + "/encoder.safetensors";
  check_only(run_program("pretrain", set + " --quiet --out " + run + tiny),
             {"encoder: ", "best encoder: ", "peak memory ", "verdict: ", "1 epoch", "next: "});
  const std::string probe = " --encoder " + encoder + " --out " + run + "/probe --epochs 1 --quiet";
  check_only(run_program("linear_probe", set + probe),
             {"linear probe of resnet20: ", "evaluated on ", "results: ", "next: "});
  check_only(
      run_program("embed", set + " --quiet --encoder " + encoder + " --out " + (folder / "a.npz").string()),
      {(folder / "a.npz").string() + ": "});
  check_only(run_program("pack_dataset", set + " " + (folder / "set.kpack").string() + " --quiet"),
             {(folder / "set.kpack").string() + ": "});
  const std::string evaluate =
      set + " --encoder " + encoder + " --classifier " + run + "/probe --corruptions contrast --severities 1";
  check_only(
      run_program("evaluate", evaluate + " --quiet"),
      {"top-1 ", "evaluated on ", "expected calibration error ", "errors under ImageNet-C's", "  contrast "});
  const auto talkative = run_program("evaluate", evaluate);
  for (const char* more :
       {"device ", "\nclasses:\n", "\nnote: the corruptions are meant for images of 224 pixels"})
    CHECK(says(talkative, more));
  const auto checked = run_program("check_data", set + " --quiet --no-pictures");
  CHECK(says(checked, "train: 24 files in 3 classes"));

  // Why a run ended before its last epoch is a result.
  const auto early = run_program("pretrain", set + " --quiet --early-stop 1 --out " + run + "3" + tiny +
                                                 "--epochs 12 --lr 0 --warmup-epochs 0 --knn-every 0");
  CHECK(early.code == 0);
  CHECK(!says(early, "epoch 1/12"));
  CHECK(says(early, "\n--early-stop 1: the figure has not improved for 1 epoch, and the run ends\n"));

  // A prediction is a result, and a run that ends early says so.
  CHECK(says(run_program("pretrain", set + " --quiet --dry-run --out " + run + "2" + tiny), "optimizer state"));
  const auto failed = run_program(
      "pretrain", set + " --quiet --out " + run + "2" + tiny + "--epochs 3 --warmup-epochs 0 --lr 1e30");
  CHECK(failed.code == 7);
  CHECK(lines_of(failed.output).back().starts_with("pretrain: error: "));
  const auto refused = run_program("pretrain", set + " --quiet --log-every 2 --out " + run + "2" + tiny);
  CHECK(refused.code == 2);
  CHECK(is_one_line_error(refused));
}

TEST_CASE("--log-every: a line every N steps, with the rate of that step") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);  // three steps an epoch
  const auto result = run_program(
      "pretrain", set + " --out " + (folder / "run").string() +
                      " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 2 --warmup-epochs 0 --log-every 2");
  CAPTURE(result.output);
  CHECK(result.code == 0);
  std::vector<std::string> steps;
  for (const std::string& line : lines_of(result.output))
    if (line.starts_with("step ")) steps.push_back(line);
  REQUIRE(steps.size() == 3);
  // 0.05 (1 + cos(pi k / 6)), for k = 1, 3, 5.
  const char* const expected[] = {R"(step 2/6  loss \d+\.\d{4}  lr 0\.0933  \d+ views/s)",
                                  R"(step 4/6  loss \d+\.\d{4}  lr 0\.05  \d+ views/s)",
                                  R"(step 6/6  loss \d+\.\d{4}  lr 0\.006699  \d+ views/s)"};
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::regex_match(steps[i], std::regex(expected[i])));
}

TEST_CASE("results say the version, the command, the device and the time of the start") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--max-bad '5%' --loss 'simclr'").code == 0);
  const auto config = json_file(folder / "run/config.json");
  CHECK(config.at("version") == "0.1.0");
  CHECK(config.at("device") == "cpu");
  CHECK(!config.contains("gpu"));
  const std::string command = config.at("command").get<std::string>();
  CHECK(command.ends_with("pretrain " + set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 1 " +
                          "--epochs 1 --max-bad 5% --loss simclr"));
  const std::string started = config.at("started").get<std::string>();
  CHECK(std::regex_match(started, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")));

  // A run that goes on keeps its start, also if its settings change; one of an earlier version has none.
  auto earlier = config;
  earlier["started"] = "2001-02-03T04:05:06Z";
  write_bytes(folder / "run/config.json", earlier.dump());
  const std::string more =
      set + " --out " + run +
      " --model resnet20 --image-size 32 -b 8 -j 1 --loss simclr --max-bad 5% --resume --epochs ";
  REQUIRE(run_program("pretrain", more + "1").code == 0);
  CHECK(json_file(folder / "run/config.json") == earlier);
  REQUIRE(run_program("pretrain", more + "2 --allow-change").code == 0);
  auto changed = json_file(folder / "run/config.json");
  CHECK(changed.at("epochs") == 2);
  CHECK(changed.at("started") == "2001-02-03T04:05:06Z");
  CHECK(changed.at("command").get<std::string>().ends_with("--epochs 2 --allow-change"));
  for (const char* fact : {"version", "command", "started"}) changed.erase(fact);
  write_bytes(folder / "run/config.json", changed.dump());
  REQUIRE(run_program("pretrain", more + "3 --allow-change").code == 0);
  CHECK(!json_file(folder / "run/config.json").contains("started"));

  REQUIRE(run_program("linear_probe", set + " --encoder " + run + "/encoder.safetensors --out " + run +
                                          "/probe --epochs 1 -j 1")
              .code == 0);
  const auto result = json_file(folder / "run/probe/result.json");
  CHECK(result.at("version") == "0.1.0");
  CHECK(result.at("device") == "cpu");
  CHECK(result.at("command").get<std::string>().ends_with("/probe --epochs 1 -j 1"));
  CHECK(result.contains("started"));
}

TEST_CASE("words of a shell's command are quoted where they need it") {
  CHECK(shell_word("--lr=0.1") == "--lr=0.1");
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_word("it's") == "'it'\\''s'");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("$HOME") == "'$HOME'");
}

}  // namespace
}  // namespace kindred
