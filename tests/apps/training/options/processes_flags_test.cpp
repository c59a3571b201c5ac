// What flags say about several processes, and which batches they can share. Only a prediction (--dry-run) is of processes
// that are not there, so these tests ask for one.
#include "../../../errors.h"
#include "../small_options.h"
#include "typed_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <string>

namespace kindred {
namespace {

const std::string one_run = "set --out run --device cpu --model resnet20 ", predicted = one_run + "--dry-run ";

std::string complaint(const std::string& typed) {
  CHECK(test::code_of([&] { pretrain_options(typed); }) == ExitCode::usage);
  return test::error_of([&] { pretrain_options(typed); });
}

TEST_CASE("processes: a prediction is of as many as are asked for, and a run of as many as there are") {
  CHECK(pretrain_options(one_run + "-b 8").processes == 1);
  CHECK(pretrain_options(predicted + "-b 8").processes == 1);
  CHECK(pretrain_options(predicted + "-b 8 --processes 4").processes == 4);
  CHECK(pretrain_options(predicted + "-b 8 --gpus 2").processes == 2);
  CHECK(pretrain_options(one_run + "-b 8 --processes 4").processes == 1);  // nobody has started them
}

TEST_CASE("processes: what the launcher is told") {
  CommandLine line("", "pretrain");
  PretrainFlags flags(line);
  const char* const words[] = {"pretrain", "set",       "--out", "run",      "--gpus",
                               "2",        "--timeout", "7.5",   "--device", "cuda"};
  CHECK(!line.parse(10, words).has_value());
  const ProcessesAsked asked = flags.asked_processes();
  CHECK(!asked.processes.has_value());
  CHECK(asked.gpus == 2);
  CHECK(asked.timeout == 7.5);
  CHECK(asked.device == "cuda");
  CHECK(asked.may_start_others);
}

TEST_CASE("processes: numbers that no run can have") {
  CHECK(complaint(predicted + "--processes 0") == "--processes 0: expected 1 to 65536");
  CHECK(complaint(predicted + "--processes 65537") == "--processes 65537: expected 1 to 65536");
  CHECK(complaint(predicted + "--gpus 0") == "--gpus 0: expected 1 to 65536");
  CHECK(complaint(one_run + "--timeout 0") == "--timeout 0: expected 1 to 1000000 seconds");
  CHECK(complaint(one_run + "--gradient-wire f16") == "--gradient-wire f16: expected one of f32, bf16");
  CHECK(complaint(one_run + "--sync-batch-norm maybe").find("--sync-batch-norm maybe") != std::string::npos);
  CHECK(complaint(one_run + "--sync-batch-norm maybe").find("on or off") != std::string::npos);
}

TEST_CASE("processes: a batch that they cannot share is refused with what would fit") {
  CHECK(complaint(predicted + "-b 8 --processes 3") ==
        "--batch-size 8: 3 processes take equal shares of it; --batch-size 6 or 9 would fit, and so would 1 or "
        "2 or 4 "
        "processes");
  CHECK(complaint(predicted + "-b 2 --processes 4") ==
        "--batch-size 2: 4 processes take equal shares of it; --batch-size 4 would fit, and so would 1 or 2 "
        "processes");
  CHECK(complaint(predicted + "-b 24 --micro-batch 4 --processes 4") ==
        "--batch-size 24: 4 processes take equal shares of it, in micro-batches of 4 images; --batch-size 16 "
        "or 32 would "
        "fit, and so would 2 or 3 or 6 processes");
  CHECK(complaint(predicted + "-b 12 --per-class 6 --processes 8") ==
        "--batch-size 12: 8 processes take equal shares of it; --batch-size 24 would fit, and so would 4 or 6 "
        "or 12 "
        "processes");
  // What is advised is accepted.
  for (const char* const fits :
       {"-b 6 --processes 3", "-b 9 --processes 3", "-b 8 --processes 4", "-b 32 --micro-batch 4 --processes 4",
        "-b 24 --micro-batch 4 --processes 6", "-b 24 --per-class 6 --processes 8"}) {
    CAPTURE(fits);
    CHECK(pretrain_options(predicted + fits).processes > 1);
  }
  // Of one process as ever.
  CHECK(complaint(one_run + "-b 8 --micro-batch 3") == "--micro-batch 3: expected a divisor of --batch-size 8");
}

TEST_CASE("processes: a default batch is one that they can share") {
  PretrainOptions o = small_options(32, 256);
  const auto batch = [&](std::int64_t processes, std::int64_t images) {
    o.processes = processes;
    return default_batch_size(o, images);
  };
  CHECK(batch(1, 1000) == 256);
  CHECK(batch(1, 100) == 100);
  CHECK(batch(4, 1000) == 256);
  CHECK(batch(3, 1000) == 255);
  CHECK(batch(3, 100) == 99);
  o.micro_batch = 8;
  CHECK(batch(1, 100) == 96);
  CHECK(batch(4, 100) == 96);
  CHECK(batch(3, 1000) == 240);
  o.per_class = 5;
  CHECK(batch(2, 100) == 80);
}

TEST_CASE("processes: config.json says what changes the result, and a run goes on with any number") {
  const TemporaryFolder folder;
  const auto json_of = [](const std::string& typed) { return pretrain_options(typed).to_json(); };
  for (const char* const key : {"processes", "gpus", "timeout", "sync_batch_norm", "gradient_wire"})
    CHECK(!json_of(predicted + "-b 8 --processes 2 --timeout 9").contains(key));
  const nlohmann::json off = json_of(one_run + "--sync-batch-norm off --gradient-wire bf16");
  CHECK(off.at("sync_batch_norm") == false);
  CHECK(off.at("gradient_wire") == "bf16");
  CHECK(json_text(json_of("--out other" + config_in(folder, json_text(off)))) == json_text(off));
  CHECK(
      pretrain_options("--sync-batch-norm on --out other" + config_in(folder, json_text(off))).sync_batch_norm);
  CHECK(pretrain_options("--out other" + config_in(folder, json_text(off))).gradient_wire == DType::bf16);
  // The number of processes that a run had is none of its settings.
  const std::string of_eight = config_in(folder, R"({"processes": 8, "batch_size": 4, "data": "set"})");
  CHECK(pretrain_options("--out other" + of_eight).processes == 1);
}

}  // namespace
}  // namespace kindred
