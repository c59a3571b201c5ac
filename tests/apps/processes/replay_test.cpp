// A run of several processes once more from its config.json, or resumed, with another number of them; and what a run says
// that was lost before its first save.
#include "run_processes.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <signal.h>  // defines: kill

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// 21 training images: two processes share 20 of them.
struct SmallSet {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder, 3, 7);

  ProgramResult train(const std::string& run, const std::string& flags) const {
    return run_program("pretrain", set + " --out " + path(run) +
                                       " --device cpu --model resnet20 --image-size 32 -j 1 --knn-every 0 "
                                       "--epochs 2 " +
                                       flags);
  }
  ProgramResult replay(const std::string& of, const std::string& run, const std::string& flags) const {
    return run_program("pretrain", "--config " + path(of) + "/config.json --out " + path(run) + " " + flags);
  }
  std::string path(const std::string& run) const { return folder / run; }
  std::string weights(const std::string& run) const { return read_bytes(path(run) + "/encoder.safetensors"); }
  nlohmann::json config(const std::string& run) const { return json_file(path(run) + "/config.json"); }
};

void expect_done(const ProgramResult& result) {
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
}

TEST_CASE("replay of processes: with another number it says so, and with the same one it has the same bytes") {
  if (!has_mpi()) return;
  const SmallSet t;
  expect_done(t.train("two", "--processes 2"));
  const std::string had_two = "the run of " + t.path("two") + "/config.json had 2 processes, this one has 1: ";
  const auto alone = t.replay("two", "alone", "");
  expect_done(alone);
  CHECK(says(alone, had_two));
  CHECK(says(alone, "the weights equal to rounding; --processes 2 gives the same bytes\n"));
  CHECK(!says(alone, "warning: the run"));
  CHECK(alone.output.find(had_two) < alone.output.find("epoch 1/2"));
  CHECK(t.config("alone").at("batch_size") == 20);
  const auto same = t.replay("two", "same", "--processes 2");
  expect_done(same);
  CHECK(!says(same, "the run of "));
  CHECK(t.weights("same") == t.weights("two"));
  // And the other way round.
  const auto more = t.replay("alone", "more", "--processes 2");
  expect_done(more);
  CHECK(says(more, "had 1 process, this one has 2: "));
  CHECK(says(more, "; one process gives the same bytes\n"));
  CHECK(t.weights("more") == t.weights("two"));
  CHECK(t.weights("more") != t.weights("alone"));
}

TEST_CASE("replay of processes: with batch norms of their own it is a warning, also under --quiet") {
  if (!has_mpi()) return;
  const SmallSet t;
  expect_done(t.train("two", "--processes 2 --sync-batch-norm off"));
  const std::string of_one =
      "with --sync-batch-norm off a batch norm's statistics are of the images of one process";
  const auto alone = t.replay("two", "alone", "--quiet");
  expect_done(alone);
  CHECK(says(alone, "warning: the run of " + t.path("two") +
                        "/config.json had 2 processes, this one has 1: " + of_one));
  CHECK(t.weights("alone") != t.weights("two"));
  const auto same = t.replay("two", "same", "--quiet --processes 2");
  expect_done(same);
  CHECK(!says(same, "warning: the run"));
  CHECK(t.weights("same") == t.weights("two"));
  // A run that goes on says it too; one that is finished has nothing to warn of.
  const auto finished = run_program("pretrain", "--resume=" + t.path("two") + " --quiet");
  expect_done(finished);
  CHECK(!says(finished, "warning: the run"));
  const auto resumed =
      run_program("pretrain", "--resume=" + t.path("two") + " --quiet --epochs 3 --allow-change");
  expect_done(resumed);
  CHECK(says(resumed, "warning: the run had 2 processes so far, and goes on with 1: " + of_one));
}

TEST_CASE("resume of processes: a small set's batch stays what it was chosen for another number of them") {
  if (!has_mpi()) return;
  const SmallSet t;
  expect_done(t.train("from_two", "--processes 2"));
  expect_done(t.train("from_one", ""));
  CHECK(t.config("from_two").at("batch_size") == 20);
  CHECK(t.config("from_one").at("batch_size") == 21);
  const std::string longer = "--epochs 3 --resume --allow-change ";
  const auto with_one = t.train("from_two", longer), with_three = t.train("from_one", longer + "--processes 3");
  for (const ProgramResult* const result : {&with_one, &with_three}) {
    expect_done(*result);
    CHECK(says(*result, "changed: epochs was 2, now 3\n"));
    CHECK(!says(*result, "batch_size was"));
    CHECK(says(*result, "continuing from "));
  }
  CHECK(t.config("from_two").at("batch_size") == 20);
  CHECK(t.config("from_one").at("batch_size") == 21);
  const auto unchanged = t.train("from_two", "--epochs 3 --resume --processes 4");
  expect_done(unchanged);
  CHECK(says(unchanged, "the run is finished already\n"));
}

TEST_CASE("resume of processes: a number that does not divide the run's batch is refused with what fits") {
  if (!has_mpi()) return;
  const SmallSet t;
  expect_done(t.train("one", ""));
  const std::string fits =
      "--batch-size 21: 2 processes take equal shares of it; --batch-size 20 or 22 would fit, and so would 1 "
      "or 3 "
      "processes; a run that goes on takes another --batch-size only with --allow-change";
  const auto typed = t.train("one", "--epochs 3 --resume --processes 2"),
             named = run_program("pretrain", "--resume=" + t.path("one") + " --processes 2");
  for (const ProgramResult* const result : {&typed, &named}) {
    CAPTURE(result->output);
    CHECK(result->code == 2);
    CHECK(is_one_line_error(*result));
    CHECK(says(*result, fits));
  }
  const auto changed = run_program(
      "pretrain", "--resume=" + t.path("one") + " --processes 2 --batch-size 20 --epochs 3 --allow-change");
  expect_done(changed);
  CHECK(says(changed, "changed: batch_size was 21, now 20\n"));
}

// Its first epoch takes minutes, and nothing is saved before its end.
TEST_CASE("faults before the first save: the line says that the same command begins anew") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 100), run = folder / "run";
  const std::string command = set + " --out " + run +
                              " --device cpu --model resnet18 --image-size 224 -b 8 -j 1 --knn-every 0 "
                              "--checkpoint-every 1000000 --processes 2 ";
  for (const std::string flags : {"--epochs 2", "--epochs 2 --resume"}) {
    CAPTURE(flags);
    const ProgramResult result = run_program_and(
        "pretrain", command + flags, run, [&] { return fs::exists(fs::path(run) / "config.json"); },
        [](const std::vector<RunProcess>& processes) {
          for (const RunProcess& process : processes)
            if (process.rank == 1) ::kill(process.process, SIGKILL);
        });
    CAPTURE(result.output);
    CHECK(result.code == 9);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "was killed by SIGKILL"));
    CHECK(says(result, "; nothing was saved yet, and the same command begins anew\n"));
    CHECK(!says(result, "the last checkpoint"));
    CHECK(!fs::exists(fs::path(run) / "checkpoint.safetensors"));
    CHECK(nothing_is_left("pretrain", run));
    fs::remove(fs::path(run) / "config.json");
  }
}

}  // namespace
}  // namespace kindred
