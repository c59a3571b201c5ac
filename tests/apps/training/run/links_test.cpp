// Links in the folder of a run: what they point to is never changed.
#include "../../programs.h"

#include <kindred/apps/training/run/run_folder.h>

#include <sys/stat.h>  // defines: mkfifo
#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("--resume: files take the place of links, and what these point to stays as it is") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", elsewhere = folder / "elsewhere";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--metrics-csv").code == 0);
  fs::create_directories(elsewhere + "/checkpoints");
  const std::string names[] = {"config.json",
                               "metrics.jsonl",
                               "metrics.csv",
                               "encoder.safetensors",
                               "bad_images.tsv",
                               "best_encoder.safetensors",
                               "checkpoint.safetensors",
                               "checkpoints/best.txt"};
  for (const std::string& name : names) {
    fs::rename(run + "/" + name, elsewhere + "/" + name);
    fs::create_symlink(elsewhere + "/" + name, run + "/" + name);
  }
  fs::create_symlink(elsewhere + "/plans.json", run + "/plans.json");  // to nothing
  write_bytes(elsewhere + "/bad_images.tsv", "path\toutcome\treason\nearlier.jpg\trejected\tempty\n");
  const auto before = folder_contents(elsewhere);
  const auto result = run_program(
      "pretrain", set + " --out " + run + tiny + "--metrics-csv --epochs 2 --resume --allow-change");
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(folder_contents(elsewhere) == before);
  for (const std::string& name : names) {
    CAPTURE(name);
    if (name.find("best") != std::string::npos) continue;  // written for a better epoch only
    CHECK(!fs::is_symlink(run + "/" + name));
    if (name != "bad_images.tsv") CHECK(read_bytes(run + "/" + name) != read_bytes(elsewhere + "/" + name));
  }
  CHECK(!fs::is_symlink(run + "/plans.json"));
  CHECK(json_file(run + "/config.json").at("epochs") == 2);
  CHECK(json_lines(run + "/metrics.jsonl").size() == 2);
  CHECK(read_bytes(run + "/bad_images.tsv") == before.at("bad_images.tsv"));  // its lines are kept
}

TEST_CASE("files of a run: lines with something behind them are not the same") {
  const TemporaryFolder folder;
  const std::vector<nlohmann::json> lines = {{{"epoch", 1}}, {{"epoch", 2}}};
  const fs::path file = folder / "lines";
  write_json_lines(file, lines);
  CHECK(has_json_lines(file, lines));
  const std::string bytes = read_bytes(file);
  write_bytes(file, bytes + std::string(16, '\0'));  // as after a loss of power
  CHECK(!has_json_lines(file, lines));
  write_bytes(file, bytes.substr(0, bytes.size() - 1));
  CHECK(!has_json_lines(file, lines));
  write_json_lines(file, {});
  CHECK(has_json_lines(file, {}));
}

TEST_CASE("files of a run: a link becomes a file with the same bytes, or goes if there are none to have") {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\r\n", 5);
  write_bytes(folder / "target", bytes);
  write_bytes(folder / "plain", "stays");
  fs::create_directory(folder / "inside");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const char* name : {"target", "inside", "pipe", "gone"})
    fs::create_symlink(name, folder / (std::string("to_") + name));
  for (const char* name : {"to_target", "to_inside", "to_pipe", "to_gone", "plain", "missing"})
    put_file_for_link(folder / name);
  CHECK(fs::is_regular_file(fs::symlink_status(folder / "to_target")));
  CHECK(read_bytes(folder / "to_target") == bytes);
  CHECK(read_bytes(folder / "target") == bytes);
  CHECK(read_bytes(folder / "plain") == "stays");
  for (const char* name : {"to_inside", "to_pipe", "to_gone", "missing"})
    CHECK(!fs::exists(fs::symlink_status(folder / name)));
  for (const char* name : {"inside", "pipe"}) CHECK(fs::exists(folder / name));
}

}  // namespace
}  // namespace kindred
