// Shards that are given one by one, with the programs that read them.
#include "../data/tar_writer.h"
#include "programs.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Packs the images of a folder of class folders into folder/NAME-0.tar and NAME-1.tar.
void write_shards(const fs::path& images, const TemporaryFolder& folder, const std::string& name) {
  std::vector<fs::path> files;
  for (const auto& file : fs::recursive_directory_iterator(images))
    if (file.is_regular_file()) files.push_back(file.path());
  std::sort(files.begin(), files.end());
  test::TarWriter shards[2];
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string stem = fmt::format("{:04}", i);
    shards[i % 2].add(stem + files[i].extension().string(), read_bytes(files[i]));
    shards[i % 2].add(stem + ".cls", files[i].parent_path().filename().string());
  }
  for (int s = 0; s < 2; ++s) write_bytes(folder / fmt::format("{}-{}.tar", name, s), shards[s].finish());
}

struct DrawnShards {
  TemporaryFolder folder;

  DrawnShards() {
    const fs::path set = draw_tiny_set(folder);
    write_shards(set / "train", folder, "train");
    write_shards(set / "val", folder, "val");
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  // A flag with a range of shards, in quotes for the shell.
  std::string files(const std::string& flag, const std::string& name) const {
    return " " + flag + " '" + at(name) + "-{0..1}.tar'";
  }
  std::string pipes(const std::string& flag, const std::string& name) const {
    return " " + flag + " 'pipe:cat " + at(name) + "-{0..1}.tar'";
  }
};

// The flags of a data set, as a program with another argument would read them.
DataFlags flags_typed(const std::vector<std::string>& words) {
  CommandLine line("", "program");
  DataFlags flags;
  std::string other;
  flags.add_to(line);
  line.add("OTHER", other);
  std::vector<const char*> arguments{"program"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  line.parse(static_cast<int>(arguments.size()), arguments.data());
  return flags;
}

TEST_CASE("--shards: training on commands ends with the bytes of training on files, and resumes from either") {
  const DrawnShards drawn;
  const std::string run = drawn.at("files"), other = drawn.at("pipes"),
                    cache = " --shard-cache " + drawn.at("cache");
  const auto files = run_program("pretrain", drawn.files("--shards", "train") +
                                                 drawn.files("--val-shards", "val") + " --out " + run + tiny);
  CAPTURE(files.output);
  CHECK(files.code == 0);
  const std::string pipes = drawn.pipes("--shards", "train") + drawn.pipes("--val-shards", "val");
  const auto commands = run_program("pretrain", pipes + cache + " --out " + other + tiny);
  CAPTURE(commands.output);
  CHECK(commands.code == 0);
  CHECK(says(commands, "4 shards read from commands into " + drawn.at("cache")));
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(other + "/encoder.safetensors"));
  const nlohmann::json config = json_file(other + "/config.json");
  CHECK(config["shards"] == nlohmann::json{"pipe:cat " + drawn.at("train-{0..1}.tar")});
  CHECK(config["shard_cache"] == drawn.at("cache"));
  CHECK(config["val_fraction"] == 0.0);
  const std::string evaluated = "pipe:cat " + drawn.at("val-{0..1}.tar");
  CHECK(config["evaluated_on"] == nlohmann::json({{"folder", evaluated}, {"images", 6}, {"split", "val"}}));
  CHECK(says(commands, "evaluated on 6 images of " + evaluated + " (val)\n"));
  CHECK(config["data_fingerprint"] == json_file(run + "/config.json")["data_fingerprint"]);
  // From the other's images, and from the settings of the run alone.
  const auto resumed =
      run_program("pretrain", drawn.files("--shards", "train") + drawn.files("--val-shards", "val") +
                                  " --out " + other + tiny + " --epochs 2 --allow-change --resume");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(json_lines(other + "/metrics.jsonl").size() == 2);
  const auto again = run_program("pretrain", "--config " + other + "/config.json --out " + drawn.at("again"));
  CAPTURE(again.output);
  CHECK(again.code == 0);
  CHECK(json_file(drawn.at("again") + "/config.json")["shards"] == json_file(other + "/config.json")["shards"]);
}

TEST_CASE("--shards: every program reads them in the place of DIR") {
  const DrawnShards drawn;
  const std::string shards = drawn.pipes("--shards", "train"), cache = " --shard-cache " + drawn.at("cache"),
                    counts = drawn.at("counts.json"), pack = drawn.at("set.kpack");
  const auto checked = run_program(
      "check_data", shards + cache + drawn.files("--val-shards", "val") + " --no-pictures --json " + counts);
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(json_file(counts)["splits"]["train"]["files"] == 24);
  CHECK(json_file(counts)["splits"]["evaluation"]["files"] == 6);
  const auto packed = run_program("pack_dataset", shards + cache + " " + pack + " --quiet");
  CAPTURE(packed.output);
  CHECK(packed.code == 0);
  CHECK(says(packed, "set.kpack: 24 images of 3 classes"));
  const std::string run = drawn.at("run");
  CHECK(run_program("pretrain", pack + " --out " + run + tiny).code == 0);
  const auto embedded =
      run_program("embed", shards + cache + " --encoder " + run + " --out " + drawn.at("all.npz"));
  CAPTURE(embedded.output);
  CHECK(embedded.code == 0);
  CHECK(says(embedded, "24 images"));
  const auto probed =
      run_program("linear_probe", shards + cache + drawn.files("--val-shards", "val") + " --encoder " + run +
                                      " --epochs 1 --out " + drawn.at("probe"));
  CAPTURE(probed.output);
  CHECK(probed.code == 0);
  const std::string evaluated = drawn.at("val-{0..1}.tar");
  CHECK(json_file(drawn.at("probe") + "/result.json")["evaluated_on"]["folder"] == evaluated);
  CHECK(says(probed, "evaluated on 6 images of " + evaluated + " (val)\n"));
}

TEST_CASE("--shards: without a cache a temporary folder is used, and is gone at the end") {
  const DrawnShards drawn;
  const std::string temporary = drawn.at("temporary");
  fs::create_directories(temporary);
  const auto checked = run_program_with("TMPDIR=" + temporary, "check_data",
                                        drawn.pipes("--shards", "train") + " --no-pictures");
  CAPTURE(checked.output);
  CHECK(checked.code == 0);
  CHECK(says(checked, "2 shards read from commands into " + temporary + "/kindred-shards-"));
  CHECK(says(checked, "(removed at the end; --shard-cache DIR keeps them)"));
  CHECK(fs::is_empty(temporary));
}

TEST_CASE("--shards: what cannot be used is one line, with its code") {
  const DrawnShards drawn;
  const auto refused = [&](const std::string& program, const std::string& flags, int code,
                           const std::string& part) {
    const auto result = run_program(program, flags);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, part));
  };
  const std::string out = " --out " + drawn.at("run") + tiny, shards = drawn.files("--shards", "train");
  refused("pretrain", "DIR" + shards + out, 2,
          "DIR: one argument too many: --shards stands in the place of DIR");
  // The shell expands a range without quotes.
  refused("pretrain", "--shards a-0.tar a-1.tar" + out, 2, "write a range in quotes");
  refused("pack_dataset", shards + " one two", 2, "two: one argument too many");
  refused("pretrain", "DIR --val-shards x.tar" + out, 2, "--val-shards x.tar: needs --shards");
  refused("pretrain", shards + drawn.files("--val-shards", "val") + " --val-fraction 0.2" + out, 2,
          "--val-fraction 0.2: --val-shards gives the images for evaluation");
  refused("pretrain", shards + " --labels list.csv" + out, 2, "--labels list.csv: shards hold their labels");
  refused("pretrain", shards + " --shard-timeout 0" + out, 2,
          "--shard-timeout 0: expected 0.1 to 86400 seconds");
  refused("pretrain", shards + " --split test" + out, 2, "has no such images; it has val\n");
  refused("pretrain", "--shards no-{1..3}.tar" + out, 3, "no-1.tar: there is no such shard");
  refused("pretrain", "--shards 'pipe:echo no such key >&2; exit 127'" + out, 3,
          "shard 1 of 1: pipe:echo no such key >&2; exit 127 failed: exit code 127, and its last words were: "
          "no such key; "
          "install the program, or correct the command");
  refused("check_data", shards + " --json " + drawn.at("train-0.tar"), 2, "lies in the data set");
}

TEST_CASE("--shards: flags that grow, arguments beside them, and words for another command") {
  const DataFlags flags = flags_typed({"--shards", "a-{0..1}.tar", "other", "--shards=pipe:cat 'b c'",
                                       "--val-shards", "v.tar", "--shard-cache", "c d"});
  CHECK(flags.shards == std::vector<std::string>{"a-{0..1}.tar", "pipe:cat 'b c'"});
  CHECK(flags.val_shards == std::vector<std::string>{"v.tar"});
  CHECK(flags.path == "a-{0..1}.tar and 1 more");
  CHECK(flags.words() ==
        "--shards 'a-{0..1}.tar' --shards 'pipe:cat '\\''b c'\\''' --val-shards v.tar --shard-cache 'c d'");
  CHECK(flags.held_out_fraction() == 0);
  CHECK(flags_typed({"--shards", "a.tar"}).held_out_fraction() == 0.1);
  CHECK(flags_typed({"--shards", "a.tar"}).words() == "--shards a.tar");
  CHECK(flags.contains("a-1.tar"));
  CHECK(!flags.contains("a-2.tar"));
}

}  // namespace
}  // namespace kindred
