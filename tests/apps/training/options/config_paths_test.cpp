// Relative paths in a config.json, when the next command is typed in another folder or the data set has moved.
#include "../../../errors.h"
#include "../../programs.h"
#include "typed_options.h"

#include <kindred/data/views/recipe_json.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A run in proj/run, on proj/data; other/data has other images.
struct RunInProject {
  TemporaryFolder folder;
  std::string base = fs::canonical(folder.path);

  RunInProject() {
    for (const std::string name : {"proj", "other"}) {
      fs::create_directories(base + "/" + name);
      fs::rename(draw_tiny_set(folder, 3, name == "proj" ? 8 : 4), base + "/" + name + "/data");
    }
    const auto result = in("proj", "data --out run" + tiny);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
  }
  ProgramResult in(const std::string& place, const std::string& typed) const {
    return run_program_with("cd " + base + "/" + place + ";", "pretrain", typed);
  }
  nlohmann::json config(const std::string& run) const { return json_file(base + "/" + run + "/config.json"); }
};

TEST_CASE("--config and --resume from another folder: one of the same name there is not the data set") {
  const RunInProject t;
  const nlohmann::json first = t.config("proj/run");
  REQUIRE(first.at("data") == "data");
  const auto replayed = t.in("other", "--config ../proj/run/config.json --out again");
  CAPTURE(replayed.output);
  CHECK(replayed.code == 0);
  CHECK(t.config("other/again").at("data") == t.base + "/proj/data");
  CHECK(t.config("other/again").at("data_fingerprint") == first.at("data_fingerprint"));
  const auto resumed = t.in("other", "--resume ../proj/run");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, "gives the data set, " + t.base + "/proj/data, and all options"));
  CHECK(says(resumed, "the run is finished already\n"));
  // What is typed is meant from here.
  const auto typed = t.in("other", "data --config ../proj/run/config.json --out typed");
  CAPTURE(typed.output);
  CHECK(typed.code == 0);
  CHECK(t.config("other/typed").at("images") == 12);
  // In its own folder the path stays as it was typed.
  CHECK(t.in("proj", "--config run/config.json --out again").code == 0);
  CHECK(t.config("proj/again").at("data") == "data");
}

TEST_CASE("--resume of a run that has the name of its data set: the run is not the set") {
  const RunInProject t;
  fs::create_directories(t.base + "/runs");
  REQUIRE(t.in("proj", "data --out ../runs/data" + tiny).code == 0);
  const auto resumed = t.in("runs", "--resume data");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, "the run is finished already\n"));
  fs::rename(t.base + "/proj/data", t.base + "/proj/gone");
  const auto lost = t.in("runs", "--resume data");
  CAPTURE(lost.output);
  CHECK(lost.code == 3);
  CHECK(is_one_line_error(lost));
  CHECK(says(lost, t.base + "/proj/data: "));
}

TEST_CASE("--config: a data set that has moved is looked for in the current folder, and a line says so") {
  const RunInProject t;
  fs::create_directories(t.base + "/moved");
  fs::rename(t.base + "/proj/data", t.base + "/moved/data");
  const auto moved = t.in("moved", "--config ../proj/run/config.json --out again");
  CAPTURE(moved.output);
  CHECK(moved.code == 0);
  CHECK(says(moved, "data is not in " + t.base +
                        "/proj, where the run of ../proj/run/config.json was started, but here: all paths in "
                        "that file are taken from the current folder\n"));
  CHECK(t.config("moved/again").at("images") == 24);
}

TEST_CASE("--config: all relative paths of the file are meant from the folder of its run") {
  const TemporaryFolder folder;
  const std::string start = fs::canonical(folder.path);
  fs::create_directories(start + "/images");
  write_bytes(start + "/views.json", to_json_text(recipe("cifar", 32)));
  const std::string file = config_in(folder, fmt::format(R"({{"data": "images", "labels": "labels.csv",
      "weights": "earlier", "augment": "views.json", "image_size": 32, "started_in": "{}"}})",
                                                         start));
  const PretrainOptions options = pretrain_options("--out run" + file);
  CHECK(options.data.path == start + "/images");
  CHECK(options.data.labels == start + "/labels.csv");
  CHECK(options.weights == start + "/earlier");
  CHECK(options.augment == start + "/views.json");
  const PretrainOptions typed =
      pretrain_options("--out run --labels own.csv --weights own --augment cifar" + file);
  CHECK(typed.data.path == start + "/images");
  CHECK(typed.data.labels == "own.csv");
  CHECK(typed.weights == "own");
  CHECK(typed.augment == "cifar");
  CHECK(pretrain_options("set --out run" + file).data.path == "set");

  write_bytes(start + "/x-0.tar", "");
  const std::string shards = config_in(folder, fmt::format(R"({{"data": "x", "shards": ["x-{{0..1}}.tar"],
      "val_shards": ["pipe:cat v.tar"], "shard_cache": "cache", "started_in": "{}"}})",
                                                           start));
  const PretrainOptions of_shards = pretrain_options("--out run" + shards);
  CHECK(of_shards.data.shards == std::vector<std::string>{start + "/x-{0..1}.tar"});
  CHECK(of_shards.data.val_shards == std::vector<std::string>{"pipe:cat v.tar"});
  CHECK(of_shards.data.shard_cache == start + "/cache");

  // A folder that is not on this machine says nothing.
  const std::string elsewhere =
      config_in(folder, R"({"data": "images", "labels": "labels.csv", "started_in": "/no/such/folder"})");
  CHECK(pretrain_options("--out run" + elsewhere).data.path == "images");
  CHECK(pretrain_options("--out run" + elsewhere).data.labels == "labels.csv");
}

TEST_CASE("DIR --resume=RUN after the data set has moved: the run gives what is not typed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", moved = folder / "moved";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  fs::rename(set, moved);
  const auto resumed = run_program("pretrain", moved + " --resume=" + run);
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, run + "/config.json gives all options that were not typed\n"));
  CHECK(says(resumed, "the run is finished already\n"));
  const auto longer = run_program("pretrain", moved + " --resume " + run + " --epochs 2 --allow-change");
  CAPTURE(longer.output);
  CHECK(longer.code == 0);
  const nlohmann::json config = json_file(run + "/config.json");
  CHECK(config.at("data") == moved);
  CHECK(config.at("batch_size") == 8);
  CHECK(says(run_program("pretrain", "--resume " + run), "the run is finished already\n"));
  // --out names a folder, not the run whose settings are meant.
  const auto refused = run_program("pretrain", moved + " --out " + run + " --resume");
  CAPTURE(refused.output);
  CHECK(refused.code == 2);
  CHECK(says(refused, "; DIR --resume=" + run + " takes what is not typed from the run\n"));
}

}  // namespace
}  // namespace kindred
