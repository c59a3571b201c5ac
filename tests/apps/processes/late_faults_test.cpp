// What goes wrong when a run's results are written: processes, or mpirun, that do not end.
#include "run_processes.h"

#include <doctest/doctest.h>

#include <signal.h>  // defines: kill

#include <filesystem>
#include <fstream>
#include <iterator>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct WrittenRun {
  explicit WrittenRun(const TemporaryFolder& folder)
      : out(folder / "run"),
        arguments(draw_tiny_set(folder) + " --out " + out + tiny +
                  "--device cpu --knn-every 0 --processes 2 ") {}

  std::string out, arguments;
};

std::string text_so_far(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_written(const ProgramResult& result, const WrittenRun& run) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(!says(result, "error: "));
  CHECK(says(result, "next: "));
  CHECK(fs::exists(fs::path(run.out) / "encoder.safetensors"));
  CHECK(nothing_is_left("pretrain", run.out));
}

// The shell stays in the place of rank 1 when the program has ended.
TEST_CASE("late faults: an mpirun that does not end is ended, and the run has its code") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const WrittenRun run(folder);
  const ShellBeforeProcesses shell(folder, if_rank(1, "\"$@\"; kill -STOP $$; exit 0"));
  const auto result =
      run_program_with(shell.for_launcher() + " timeout 600 env", "pretrain", run.arguments + "--timeout 5");
  expect_written(result, run);
  CHECK(says(result, "pretrain: warning: mpirun did not end by itself; all results were written before\n"));
  CHECK(nothing_is_left(fs::canonical("/bin/sh").filename(), run.out));
}

// Where rank 1 is then is chance: it may have ended.
TEST_CASE("late faults: a process that hangs after the last line does not keep the command") {
  if (!has_mpi()) return;
  for (int i = 0; i < 3; ++i) {
    const TemporaryFolder folder;
    const WrittenRun run(folder);
    const std::string output = folder / "output";
    ProgramResult result = run_program_and(
        "pretrain", run.arguments + "--timeout 5 > " + output, run.out,
        [&] { return text_so_far(output).find("next: ") != std::string::npos; },
        [](const std::vector<RunProcess>& processes) {
          for (const RunProcess& process : processes)
            if (process.rank == 1) ::kill(process.process, SIGSTOP);
        },
        "timeout 600 env");
    result.output = text_so_far(output);
    expect_written(result, run);
  }
}

TEST_CASE("late faults: an mpirun that somebody has stopped is woken") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const WrittenRun run(folder);
  const auto result = run_program_and(
      "pretrain", run.arguments + "--epochs 3 --checkpoint-every 1 --timeout 30", run.out,
      [&] { return fs::exists(fs::path(run.out) / "checkpoint.safetensors"); },
      [&](const std::vector<RunProcess>&) {
        for (const RunProcess& mpirun : mpirun_of_run(run.out)) ::kill(mpirun.process, SIGSTOP);
      },
      "timeout 600 env");
  expect_written(result, run);
  CHECK(!says(result, "by itself"));
}

}  // namespace
}  // namespace kindred
