// What a run says that takes its settings from one with another number of processes.
#include "../../small_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/run/shared/other_processes.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace kindred {
namespace {

PretrainOptions options_of_replay(std::int64_t processes) {
  PretrainOptions o = small_options(8, 24);
  o.config = "first/config.json";
  o.processes = processes;
  return o;
}

// A run of one process does not say how many it had.
nlohmann::json settings_of_first(std::int64_t processes, const char* device = "cpu") {
  nlohmann::json settings = {{"data_fingerprint", "0f8b2cc39b910ead"}, {"batch_size", 24}, {"device", device}};
  if (processes > 1) settings["processes"] = processes;
  return settings;
}

bool holds(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

TEST_CASE(
    "other processes: a replay with as many as the run had says nothing, and neither does a file by hand") {
  for (const std::int64_t number : {1, 2, 4})
    CHECK(replay_with_others(options_of_replay(number), settings_of_first(number)).empty());
  CHECK(replay_with_others(options_of_replay(2), nlohmann::json()).empty());
  CHECK(replay_with_others(options_of_replay(2), {{"batch_size", 24}}).empty());
  CHECK(replay_with_others(options_of_replay(1), {{"batch_size", 24}, {"processes", 2}}).empty());
  nlohmann::json odd = settings_of_first(1);
  odd["processes"] = "2";  // of no run
  CHECK(replay_with_others(options_of_replay(1), odd).empty());
}

TEST_CASE("other processes: a replay says that it is the same to rounding, and what gives the same bytes") {
  const std::string fewer = replay_with_others(options_of_replay(1), settings_of_first(2));
  CHECK(fewer ==
        "the run of first/config.json had 2 processes, this one has 1: with the same settings the batches are "
        "the "
        "same, and the weights equal to rounding; --processes 2 gives the same bytes\n");
  const std::string more = replay_with_others(options_of_replay(4), settings_of_first(1));
  CHECK(holds(more, "had 1 process, this one has 4: "));
  CHECK(holds(more, "; one process gives the same bytes\n"));
  const std::string on_gpus = replay_with_others(options_of_replay(1), settings_of_first(8, "cuda"));
  CHECK(holds(on_gpus, "; --gpus 8 (or mpirun -n 8) trains as that one did\n"));
  PretrainOptions exact = options_of_replay(1);
  exact.deterministic = true;
  CHECK(holds(replay_with_others(exact, settings_of_first(8, "cuda")),
              "; --gpus 8 (or mpirun -n 8) gives the same bytes\n"));
  PretrainOptions rounded = options_of_replay(1);
  rounded.gradient_wire = DType::bf16;
  CHECK(
      holds(replay_with_others(rounded, settings_of_first(2)), "equal to the rounding of gradients to bf16; "));
  // Going on with another number is as good.
  CHECK(going_on_with_others(options_of_replay(1), settings_of_first(2)).empty());
}

TEST_CASE(
    "other processes: where batch norms see other images it is a warning, in a replay and when a run goes on") {
  PretrainOptions own = options_of_replay(1);
  own.sync_batch_norm = false;
  nlohmann::json settings = settings_of_first(2);
  settings["sync_batch_norm"] = false;
  const std::string replay = replay_with_others(own, settings), on = going_on_with_others(own, settings);
  CHECK(
      replay.starts_with("warning: the run of first/config.json had 2 processes, this one has 1: with "
                         "--sync-batch-norm off a batch norm's statistics are of the images of one process"));
  CHECK(holds(replay, "so the weights will be others; --processes 2 gives the same bytes\n"));
  CHECK(on.starts_with(
      "warning: the run had 2 processes so far, and goes on with 1: with --sync-batch-norm off "));
  CHECK(holds(on, "so the weights will be others; --processes 2 goes on as before\n"));
  for (const std::string& line : {replay, on}) CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  // One process has no others to share its statistics with.
  own.processes = 3;
  CHECK(replay_with_others(own, settings_of_first(1)).starts_with("warning: "));
  own.processes = 2;
  CHECK(replay_with_others(own, settings).empty());
  CHECK(going_on_with_others(own, settings).empty());

  PretrainOptions parts = options_of_replay(1);
  parts.micro_batch = 4;
  parts.batch_norm_scope = BatchNormScope::micro;
  const std::string micro = replay_with_others(parts, settings_of_first(2));
  CHECK(micro.starts_with("warning: "));
  CHECK(holds(micro,
              "with --micro-batch 4 a batch norm's statistics are of 4 images at a time, and were of 8, so"));
  CHECK(going_on_with_others(parts, settings_of_first(2)).starts_with("warning: "));
  parts.batch_norm_scope = BatchNormScope::full;
  CHECK(!replay_with_others(parts, settings_of_first(2)).starts_with("warning: "));
  parts.batch_norm_scope = BatchNormScope::micro;
  parts.micro_batch = 24;  // the whole batch at once
  CHECK(!replay_with_others(parts, settings_of_first(2)).starts_with("warning: "));
}

}  // namespace
}  // namespace kindred
