// --config, which takes options from a config.json, and --resume with the path of a run.
#include "../../../errors.h"
#include "../../programs.h"
#include "typed_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <type_traits>

namespace kindred {
namespace {

TEST_CASE("--config: the options of a run from its config.json, whatever they are") {
  const TemporaryFolder folder;
  for (const std::string typed :
       {"--model resnet20 -b 8", "--preset cifar --epochs 20", "--preset cifar --lr 0.25 --warmup-epochs 3",
        "--loss triplet --mining batch-hard --margin 0.5 --head linear",
        "--loss cross_entropy --label-smoothing 0.1", "--optimizer rmsprop --rmsprop-eps 0.5",
        "--optimizer adamw --beta2 0.99 --early-stop 3",
        "-b 8 --micro-batch 4 --batch-norm-scope full --queue 64 --seed 9007199254740992",
        "--momentum-encoder 0.99 --views 3 --checkpoint-every 90s --max-bad 5% --strict --sampling "
        "inverse-frequency",
        "--limit-per-class 5 --limit-eval-per-class 7 --val-fraction 0.25 --val-seed 4 --pixels cifar100"}) {
    CAPTURE(typed);
    const nlohmann::json config = pretrain_options("set --out run --device cpu " + typed).to_json();
    const std::string replay = config_in(folder, json_text(config));
    CHECK(json_text(pretrain_options("--out again" + replay).to_json()) == json_text(config));
    // The last word is the command line's, before or behind --config.
    CHECK(pretrain_options("--lr 0.125 other --out again" + replay).lr == 0.125);
    CHECK(pretrain_options("--lr 0.125 other --out again" + replay).data.path == "other");
    CHECK(pretrain_options("--out again" + replay).data.path == "set");
  }
}

TEST_CASE("--config: a preset on the command line overrides the file, and a shorter run warms up for a tenth") {
  const TemporaryFolder folder;
  const std::string file =
      config_in(folder, R"({"lr": 0.25, "epochs": 40, "warmup_epochs": 8, "data": "set"})");
  CHECK(pretrain_options("--out run" + file).warmup_epochs == 8);
  CHECK(pretrain_options("--out run --epochs 10" + file).warmup_epochs == 1);
  CHECK(pretrain_options("--out run" + file).lr == 0.25);
  CHECK(pretrain_options("--out run --preset cifar" + file).lr == 0.5);
  CHECK(pretrain_options("--out run --preset cifar" + file).epochs == 1000);
}

TEST_CASE("--config: files that cannot be used") {
  const TemporaryFolder folder;
  const std::string name = "--config " + (folder / "config.json").string();
  const struct {
    const char* content;
    const char* line;
  } cases[] = {
      {R"({"temprature": 0.1})", R"(: "temprature" is no option of a run; did you mean "temperature"?)"},
      {R"({"out": "run", "zzzzzzzz": 1})", R"(: "out" is no option of a run)"},
      {R"({"loss_options": {"varient": "in"}})",
       R"(: "varient" is no option of a run; did you mean "variant"?)"},
      {R"({"lr": "0.1"})", R"(: lr is "0.1"; expected a number)"},
      {R"({"epochs": 1.5})", ": epochs is 1.5; expected an integer"},
      {R"({"epochs": 18446744073709551615})", ": epochs is 18446744073709551615; expected an integer"},
      {R"({"seed": -1})", ": seed is -1; expected an integer, 0 or more"},
      {R"({"strict": 1})", ": strict is 1; expected true or false"},
      {R"({"model": ["resnet20"]})", ": model is a list; expected a text"},
      {R"({"loss_options": 3})", ": loss_options is 3; expected an object"},
      {R"({"split": "train"})", R"(: split is "train"; expected val, test or evaluation)"},
      {"[1]", ": expected a JSON object, as RUN/config.json holds one"},
      {"{", ": expected a JSON object, as RUN/config.json holds one"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.content);
    const std::string flags = "set --out run" + config_in(folder, c.content);
    CHECK(test::error_of([&] { pretrain_options(flags); }) == name + c.line);
    CHECK(test::code_of([&] { pretrain_options(flags); }) == ExitCode::file);
  }
  // A value outside its range is refused as that of a flag, and the file is named.
  const std::string gives = "; " + (folder / "config.json").string() + " gives ";
  const std::string negative = "set --out run" + config_in(folder, R"({"lr": -1})");
  CHECK(test::error_of([&] { pretrain_options(negative); }) == "--lr -1: expected 0 or more" + gives + "--lr");
  const std::string limit = "set --out run" + config_in(folder, R"({"limit_per_class": -2})");
  CHECK(test::error_of([&] { pretrain_options(limit); }) ==
        "--limit-per-class -2: expected 0 (no limit) or more" + gives + "--limit-per-class");
  CHECK(test::code_of([&] { pretrain_options("set --out run --config " + (folder / "none").string()); }) ==
        ExitCode::file);
}

TEST_CASE("--resume: with the path of a run, where it cannot be the data set") {
  CHECK(!pretrain_options("set --out run").resume);
  for (const std::string typed :
       {"set --out run --resume", "--resume set --out run", "--resume=true set --out run", "set --resume=run",
        "set --resume run", "--resume run set", "set --out ./run --resume run/",
        "set --resume run --epochs 2"}) {
    CAPTURE(typed);
    const PretrainOptions options = pretrain_options(typed);
    CHECK(options.resume);
    CHECK(options.data.path == "set");
    CHECK(options.out.find("run") != std::string::npos);
  }
  CHECK(!pretrain_options("set --out run --resume=false").resume);
  CHECK(test::error_of([] { pretrain_options("set --out run --resume other"); }) ==
        "--resume other and --out run are two runs; leave one of them out");
  CHECK(test::error_of([] { pretrain_options("set --resume=none/checkpoint.safetensors"); }) ==
        "--resume none/checkpoint.safetensors: there is no such checkpoint; give one that is there, or the "
        "folder of "
        "the run");
  CHECK(test::error_of([] { pretrain_options("set --resume"); }) == "--out is required (see --help)");
  CHECK(test::error_of([] { pretrain_options("--resume --out run"); }) == "DIR is required (see --help)");

  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "run/checkpoints");
  write_bytes(folder / "run/config.json", "{}");
  for (const char* name : {"run/checkpoint.safetensors", "run/checkpoints/step-000000001.safetensors"}) {
    write_bytes(folder / name, "");
    const PretrainOptions options = pretrain_options("set --resume " + (folder / name).string());
    CHECK(options.resume);
    CHECK(std::filesystem::equivalent(options.out, folder / "run"));
  }
}

TEST_CASE("--resume: paths that are no run are refused with what to give instead") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", moved = folder / "moved.safetensors",
                    encoder = run + "/encoder.safetensors";
  std::filesystem::create_directories(run + "/checkpoints");
  write_bytes(run + "/config.json", "{}");
  write_bytes(moved, "");
  SafetensorsWriter weights;
  weights.add_i64("conv1.weight", {1}, {1});
  weights.write(encoder);
  const auto complaint = [](const std::string& path) {
    CHECK(test::code_of([&] { pretrain_options("set --resume=" + path); }) == ExitCode::usage);
    return test::error_of([&] { pretrain_options("set --resume=" + path); });
  };
  CHECK(complaint(encoder) == "--resume " + encoder + ": an encoder cannot be resumed; give it by --weights");
  CHECK(complaint(moved).find(": this checkpoint lies outside its run; ") != std::string::npos);
  for (const char* slash : {"", "/"}) {
    const std::string inside = run + "/checkpoints" + slash;
    CHECK(complaint(inside) ==
          "--resume " + inside + ": it holds the checkpoints of a run; give --resume=" + run);
  }
}

TEST_CASE("options: every one that takes a number says which numbers it accepts") {
  const auto help = run_program("pretrain", "--help");
  for_each_option([&](const auto& row) {
    using Value = typename std::decay_t<decltype(row)>::Written;
    if constexpr (std::is_same_v<Value, std::int64_t> || std::is_same_v<Value, double>) {
      CAPTURE(row.flag);
      REQUIRE(row.expected != nullptr);
      CHECK(says(help, row.help + "; " + row.expected + "\n"));
    }
  });
  CHECK(says(help, "peak learning rate (0.1; adamw: 0.001); 0 or more\n"));
  CHECK(says(help, "use the first N images of each class, by name (0); 0 (no limit) or more\n"));
  const auto probe = run_program("linear_probe", "--help");
  for (const char* line : {"cosine to 0; 0 or more\n", "threads that load images; 0 to 1024\n",
                           "side of an image (as the encoder was trained); 8 to 4096 pixels\n"})
    CHECK(says(probe, line));
  CHECK(says(run_program("pack_dataset", "--help"), "of images that are shrunk (90); 1 to 100\n"));
  CHECK(says(run_program("pack_dataset", "a b --max-side 5 --quality 101"),
             "error: --quality 101: expected 1 to 100\n"));
}

}  // namespace
}  // namespace kindred
