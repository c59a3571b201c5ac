// A run once more from its config.json, and a run that goes on from it alone: what wins over what.
#include "../../../errors.h"
#include "../../programs.h"
#include "typed_options.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("--config: a typed flag wins over --preset, that one over the file, and the file over the default") {
  const TemporaryFolder folder;
  const std::string file = config_in(folder, R"({"data": "set", "lr": 0.25, "seed": 5, "limit_per_class": 3,
      "val_fraction": 0.25, "loss": "triplet", "loss_options": {"margin": 0.5}})");
  CHECK(pretrain_options("set --out run").lr == 0.1);
  CHECK(pretrain_options("--out run" + file).lr == 0.25);
  CHECK(pretrain_options("--out run --preset cifar" + file).lr == 0.5);
  CHECK(pretrain_options("--out run --preset cifar --lr 0.75" + file).lr == 0.75);
  CHECK(pretrain_options("--lr 0.75 --out run" + file + "--preset cifar").lr == 0.75);  // in any order
  // What no preset changes: options of the set, of the loss, and others.
  const PretrainOptions of_file = pretrain_options("--out run --preset cifar" + file);
  CHECK(of_file.data.path == "set");
  CHECK(of_file.data.limit_per_class == 3);
  CHECK(of_file.data.val_fraction == 0.25);
  CHECK(of_file.seed == 5);
  CHECK(of_file.loss == "triplet");
  CHECK(of_file.loss_flags.margin == 0.5);
  const PretrainOptions typed =
      pretrain_options("other --out run --limit-per-class 4 --val-fraction 0.5 --seed 6 --margin 0.75" + file);
  CHECK(typed.data.path == "other");
  CHECK(typed.data.limit_per_class == 4);
  CHECK(typed.data.val_fraction == 0.5);
  CHECK(typed.seed == 6);
  CHECK(typed.loss_flags.margin == 0.75);
}

TEST_CASE("--config: the preset that a file names is a record, and its values are those of the file") {
  const TemporaryFolder folder;
  const std::string file = config_in(folder, R"({"data": "set", "recipe": "cifar", "epochs": 7})");
  const PretrainOptions options = pretrain_options("--out run" + file);
  CHECK(options.preset == "cifar");
  CHECK(options.lr == 0.1);  // cifar's is 0.5
  CHECK(options.epochs == 7);
  const PretrainOptions other = pretrain_options("--out run --preset cifar-quick" + file);
  CHECK(other.preset == "cifar-quick");
  CHECK(other.epochs == 10);
}

TEST_CASE("--config: the last of two files is read, and --out, --resume and --overwrite are in none") {
  const TemporaryFolder folder;
  const std::string file = config_in(folder, R"({"data": "set", "lr": 0.25})");
  CHECK(pretrain_options("--out run --config none.json" + file).lr == 0.25);
  CHECK(test::error_of([&] { pretrain_options(file); }) == "--out is required (see --help)");
  for (const std::string name :
       {"out", "resume", "overwrite", "allow_change", "dry_run", "log_every", "quiet"}) {
    const std::string with = config_in(folder, "{\"data\": \"set\", \"" + name + "\": true}");
    CHECK(test::error_of([&] { pretrain_options("--out run" + with); })
              .starts_with("--config " + (folder / "config.json").string() + ": \"" + name +
                           "\" is no option of a run"));
  }
}

// A run of one epoch on a tiny set.
struct FinishedRun {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", config = " --config " + run + "/config.json ";
  FinishedRun() { REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0); }
};

TEST_CASE("--config: a run is replayed to the byte, and its next command has no needless flags") {
  const FinishedRun first;
  const std::string again = first.folder / "again";
  const auto replayed = run_program("pretrain", first.config + "--out " + again);
  CAPTURE(replayed.output);
  REQUIRE(replayed.code == 0);
  CHECK(read_bytes(again + "/encoder.safetensors") == read_bytes(first.run + "/encoder.safetensors"));
  CHECK(says(replayed, "linear_probe " + first.set + " --encoder " + again + "/encoder.safetensors --out " +
                           again + "/probe\n"));
}

TEST_CASE("--config: the file wins over what is taken from --weights, and over what is chosen for the set") {
  const FinishedRun first;
  const std::string tuned = first.folder / "tuned";
  const auto result = run_program(
      "pretrain",
      first.set + " --weights " + first.run + " --out " + tuned +
          config_in(first.folder, R"({"image_size": 24, "batch_size": 6, "epochs": 1, "workers": 1})"));
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  const nlohmann::json config = json_file(tuned + "/config.json");
  CHECK(config.at("image_size") == 24);  // the file of the weights says 32
  CHECK(config.at("batch_size") == 6);   // the set would be one batch
  CHECK(config.at("model") == "resnet20");
  CHECK(config.at("lr") == 0.1);
}

TEST_CASE("--config: a run that began from weights that have changed since is replayed with a warning") {
  const FinishedRun first;
  const std::string run = first.run, tuned = first.folder / "tuned", file = run + "/encoder.safetensors";
  const std::string warning = " has changed since the run of ";
  const auto begun = run_program("pretrain", first.set + " --weights " + run + " --out " + tuned + tiny);
  REQUIRE(begun.code == 0);
  CHECK(!says(begun, warning));
  const auto replays = [&](const std::string& of, const std::string& flags = "") {
    const auto result = run_program("pretrain", "--config " + of + "/config.json --overwrite --out " +
                                                    (first.folder / "again").string() + flags);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    return result;
  };
  CHECK(!says(replays(tuned), warning));
  CHECK(read_bytes(first.folder / "again/encoder.safetensors") == read_bytes(tuned + "/encoder.safetensors"));
  // What is recorded is no option, and stays when the run goes on, also where its config.json is written anew.
  const std::string checksum = json_file(tuned + "/config.json").at("weights_xxh3");
  CHECK(checksum.size() == 16);
  REQUIRE(run_program("pretrain", "--resume=" + tuned + " --epochs 2 --allow-change --max-bad 3").code == 0);
  CHECK(json_file(tuned + "/config.json").at("epochs") == 2);
  CHECK(json_file(tuned + "/config.json").at("weights_xxh3") == checksum);

  // A run that replaces the one whose weights it begins with.
  const auto own =
      run_program("pretrain", first.set + " --overwrite --weights " + run + " --out " + run + tiny);
  REQUIRE(own.code == 0);
  CHECK(!says(own, warning));
  CHECK(json_file(run + "/config.json").at("weights_xxh3") == checksum);
  for (const std::string& of : {run, tuned}) {
    const auto changed = replays(of);
    CHECK(says(changed, "warning: " + run + warning + of +
                            "/config.json began with it, so this run will not be the "
                            "same; give the weights of then by --weights\n"));
    CHECK(says(replays(of, " " + first.set), warning));  // DIR may be typed
    CHECK(!says(replays(of, " --weights " + tuned + "/encoder.safetensors"),
                warning));  // other weights are meant
  }
}

TEST_CASE(
    "--config with the --out of a run: refused, with --resume it goes on, with --overwrite it begins anew") {
  const FinishedRun first;
  const std::string command = first.config + "--out " + first.run;
  const auto before = folder_contents(first.run);
  const auto refused = run_program("pretrain", command);
  CHECK(refused.code == 2);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, "--out " + first.run + ": it holds results already; "));
  // The options of the file are compared with those of the run, as if they were typed.
  const auto resumed = run_program("pretrain", command + " --resume");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, "the run is finished already\n"));
  const auto longer = run_program("pretrain", command + " --resume --epochs 2");
  CHECK(longer.code == 2);
  CHECK(says(longer, "was started with other settings: epochs was 1, now 2; "));
  const TemporaryFolder elsewhere;
  const auto other =
      run_program("pretrain", config_in(elsewhere, "{\"data\": \"" + first.set + "\", \"lr\": 0.5}") +
                                  "--resume --out " + first.run);
  CAPTURE(other.output);
  CHECK(other.code == 2);
  CHECK(says(other, "lr was 0.1, now 0.5"));
  CHECK(folder_contents(first.run) == before);
  // The file is read before the run that it is of is set aside.
  const auto anew = run_program("pretrain", command + " --overwrite --seed 3");
  CAPTURE(anew.output);
  CHECK(anew.code == 0);
  CHECK(json_file(first.run + "/config.json").at("seed") == 3);
  CHECK(json_file(first.run + "/config.json").at("batch_size") == 8);
  CHECK(read_bytes(first.run + "/encoder.safetensors") != before.at("encoder.safetensors"));
}

TEST_CASE("--resume without DIR: the config.json of the run gives the data set and the options") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", file = run + "/config.json";
  fs::create_directories(run);
  write_bytes(file, R"({"data": "set", "data_fingerprint": "0", "lr": 0.25, "val_fraction": 0.125})");
  write_bytes(run + "/checkpoint.safetensors", "");
  for (const std::string& typed :
       {"--resume " + run, "--resume=" + run, "--resume --out " + run, "--out " + run + " --resume",
        "--resume=" + run + "/checkpoint.safetensors", "--seed 3 --resume " + run + " --epochs 7"}) {
    CAPTURE(typed);
    const PretrainOptions options = pretrain_options(typed);
    CHECK(options.resume);
    CHECK(options.data.path == "set");
    CHECK(options.data.val_fraction == 0.125);
    CHECK(options.lr == 0.25);
    CHECK(fs::equivalent(options.out, run));
  }
  CHECK(pretrain_options("--resume " + run + " --lr 0.75").lr == 0.75);
  // With DIR the rest is taken from the run that is named, and nothing from one that only --out names.
  CHECK(pretrain_options("other --resume " + run).data.path == "other");
  CHECK(pretrain_options("other --resume " + run).lr == 0.25);
  CHECK(pretrain_options("other --lr 0.75 --resume " + run).lr == 0.75);
  CHECK(pretrain_options("other --resume --out " + run).lr == 0.1);
  // With a file that says it, nothing is.
  const std::string own = config_in(folder, R"({"data": "own", "epochs": 7})");
  CHECK(pretrain_options("--resume " + run + own).data.path == "own");
  CHECK(pretrain_options("--resume " + run + own).lr == 0.1);
  CHECK(!pretrain_options("other --resume=false --out " + run).resume);
}

TEST_CASE("--resume without DIR: where no run says the data set, the error says that both are needed") {
  const TemporaryFolder folder;
  const std::string set = folder / "set", file = set + "/config.json";
  const std::string error =
      "--resume " + set + ": no run is there whose config.json says the data set; give both, DIR --resume=RUN";
  const auto check_refused = [&] {
    for (const std::string& typed : {"--resume " + set, "--resume=" + set, "--epochs 3 --resume " + set}) {
      CAPTURE(typed);
      CHECK(test::error_of([&] { pretrain_options(typed); }) == error);
      CHECK(test::code_of([&] { pretrain_options(typed); }) == ExitCode::usage);
    }
  };
  check_refused();
  fs::create_directories(set);
  for (const char* content :
       {R"({"data": "set"})", R"({"data_fingerprint": "0"})", "{", "[]",
        R"({"data": "", "data_fingerprint": "0"})", R"({"data": 3, "data_fingerprint": "0"})"}) {
    CAPTURE(content);
    write_bytes(file, content);  // of another program
    check_refused();
  }
}

TEST_CASE("--resume without DIR: the run goes on, and a set that has changed is refused") {
  const FinishedRun first;
  const std::string line =
      first.run + "/config.json gives the data set, " + first.set + ", and all options that were not typed\n";
  const auto finished = run_program("pretrain", "--resume " + first.run);
  CAPTURE(finished.output);
  CHECK(finished.code == 0);
  CHECK(says(finished, line));
  CHECK(says(finished, "the run is finished already\n"));
  const auto refused = run_program("pretrain", "--resume " + first.run + " --epochs 2");
  CHECK(refused.code == 2);
  CHECK(says(refused, "was started with other settings: epochs was 1, now 2; "));
  const auto longer = run_program("pretrain", "--resume " + first.run + " --epochs 2 --allow-change");
  CAPTURE(longer.output);
  CHECK(longer.code == 0);
  CHECK(says(longer, line));
  CHECK(json_lines(first.run + "/metrics.jsonl").size() == 2);

  for (const auto& entry : fs::recursive_directory_iterator(first.set + "/train"))
    if (entry.path().extension() == ".jpg") {
      fs::remove(entry.path());
      break;
    }
  const auto before = folder_contents(first.run);
  const auto changed = run_program("pretrain", "--resume " + first.run);
  CAPTURE(changed.output);
  CHECK(changed.code == 2);
  CHECK(is_one_line_error(changed));
  CHECK(says(changed, "the data set had 24 training images, now 23, or other files"));
  CHECK(folder_contents(first.run) == before);
}

TEST_CASE(
    "--resume without DIR, typed in another folder: the data set is found from where the run was started") {
  const TemporaryFolder folder;
  draw_tiny_set(folder);
  const std::string start = fs::canonical(folder.path);
  fs::create_directories(start + "/elsewhere");
  REQUIRE(run_program_with("cd " + start + ";", "pretrain", "set --out run" + tiny).code == 0);
  nlohmann::json config = json_file(start + "/run/config.json");
  CHECK(config.at("data") == "set");
  CHECK(config.at("started_in") == start);
  const auto elsewhere = [&](const std::string& typed) {
    return run_program_with("cd " + start + "/elsewhere;", "pretrain", typed);
  };
  const auto resumed = elsewhere("--resume ../run");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, "../run/config.json gives the data set, " + start +
                          "/set, and all options that were not typed\n"));
  CHECK(says(resumed, "the run is finished already\n"));

  config.erase("started_in");  // as of an earlier version
  write_bytes(start + "/run/config.json", config.dump());
  const auto lost = elsewhere("--resume ../run");
  CAPTURE(lost.output);
  CHECK(lost.code == 3);
  CHECK(is_one_line_error(lost));
  CHECK(says(lost,
             "set: no such folder here; ../run/config.json gives this path, which is meant from the folder "
             "where its run was started; change to that folder, or give DIR beside --config "
             "../run/config.json"));
  CHECK(elsewhere("../set --config ../run/config.json --resume=../run").code == 0);
}

TEST_CASE("--resume: of a run whose config.json is cut, the error says so and what is left to do") {
  const FinishedRun first;
  const std::string file = first.run + "/config.json", bytes = read_bytes(file), other = first.folder / "other";
  write_bytes(file, bytes.substr(0, bytes.size() / 2));
  const auto check_refused = [&](const std::string& typed, const std::string& weights) {
    CAPTURE(typed);
    const auto result = run_program("pretrain", typed);
    CAPTURE(result.output);
    CHECK(result.code == 4);
    CHECK(is_one_line_error(result));
    CHECK(says(result, file +
                           " is not valid JSON; restore that file from a copy, or begin a new run from its "
                           "weights, with its settings typed again: DIR --weights " +
                           weights + " --out OTHER\n"));
  };
  check_refused("--resume " + first.run, first.run);
  check_refused("--out " + first.run + " --resume", first.run);
  check_refused(first.set + tiny + "--resume=" + first.run, first.run);
  CHECK(run_program("pretrain", first.set + " --weights " + first.run + " --out " + other + tiny).code == 0);
  fs::remove(first.run + "/encoder.safetensors");
  check_refused("--resume " + first.run, first.run + "/checkpoint.safetensors");
}

}  // namespace
}  // namespace kindred
