// Starting several processes as a user does, and what is refused.
#include "run_processes.h"

#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string on_cpu = tiny + "--device cpu --lr 0.0003 ";  // low: rounding grows with every step

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void expect_refused(const ProgramResult& result, int code, const std::string& words) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(says(result, words));
  CHECK(is_one_line_error(result));
  CHECK(count_of(result.output, "error: ") == 1);
}

TEST_CASE("processes: two train what one does, and only the first prints") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), one = folder / "one", two = folder / "two";
  REQUIRE(run_program("pretrain", set + " --out " + one + on_cpu).code == 0);
  const ProgramResult result = run_program("pretrain", set + " --out " + two + on_cpu + "--processes 2");
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(count_of(result.output, "epoch 1/1") == 1);
  CHECK(count_of(result.output, "verdict: ") == 1);
  const auto wanted = json_lines(fs::path(one) / "metrics.jsonl"),
             got = json_lines(fs::path(two) / "metrics.jsonl");
  REQUIRE(got.size() == wanted.size());
  const double loss = wanted[0]["loss"];
  CHECK(std::abs(got[0]["loss"].get<double>() - loss) < 1e-4 * loss);
  CHECK(got[0]["processes"] == 2);
  CHECK(nothing_is_left("pretrain", two));

  // The checkpoint does not know how many processes wrote it.
  const ProgramResult more = run_program(
      "pretrain", set + " --out " + two + on_cpu + "--processes 4 --epochs 2 --resume --allow-change");
  CAPTURE(more.output);
  CHECK(more.code == 0);
}

TEST_CASE("processes: linear_probe on two gives what it gives on one") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), one = folder / "one", two = folder / "two";
  const std::string flags =
      set + " --untrained resnet20 --image-size 32 -b 8 -j 1 --epochs 2 --device cpu --out ";
  REQUIRE(run_program("linear_probe", flags + one).code == 0);
  const ProgramResult result = run_program("linear_probe", flags + two + " --processes 2");
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(count_of(result.output, "linear probe of ") == 1);
  CHECK(json_file(fs::path(one) / "result.json")["top1"] == json_file(fs::path(two) / "result.json")["top1"]);
}

TEST_CASE("processes: flags that cannot be") {
  const TemporaryFolder folder;
  const std::string run = draw_tiny_set(folder) + " --out " + (folder / "run").string() + tiny;
  expect_refused(run_program("pretrain", run + "--gpus 0"), 2, "--gpus 0: expected 1 to 65536");
  expect_refused(run_program("pretrain", run + "--processes -1"), 2, "--processes -1: expected 1 to 65536");
  expect_refused(run_program("pretrain", run + "--timeout 0"), 2, "--timeout 0");
  expect_refused(run_program("pretrain", run + "--gpus 2 --processes 3"), 2,
                 "each process has one GPU; give one of the flags");
  expect_refused(run_program("pretrain", run + "--gpus 2 --device cpu"), 2, "use --processes 2");
  expect_refused(run_program("pretrain", run + "--gpus 2"), 5, "--gpus 2: device cuda: ");
  expect_refused(run_program_with("PATH=/nowhere", "pretrain", run + "--processes 2 --device cpu"), 5,
                 "--processes 2: there is no mpirun in PATH");
  expect_refused(run_program_with("KINDRED_MPI_MODULE=/nowhere/libkindred_mpi.so", "pretrain",
                                  run + "--processes 2 --device cpu"),
                 5, "--processes 2: ");
  CHECK(!fs::exists(folder.path / "run"));
}

TEST_CASE("processes: an error of all of them, or of one, is one line") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), out = " --out " + (folder / "run").string() + on_cpu;
  const auto shares = run_program("pretrain", set + out + "--processes 3");
  expect_refused(shares, 2, "--batch-size 8: 3 processes take equal shares of it");
  expect_refused(run_program("pretrain", (folder / "nowhere").string() + out + "--processes 2"), 3, "nowhere");
  CHECK(!fs::exists(folder.path / "run"));
}

TEST_CASE("processes: those that nothing brings together do not train alone") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = set + " --out " + (folder / "run").string() + on_cpu;
  expect_refused(run_program_with("WORLD_SIZE=2 RANK=0", "pretrain", run), 2,
                 "WORLD_SIZE=2 says that 2 processes were started, and nothing brings them together; start "
                 "with: mpirun -n 2");
  expect_refused(run_program_with("SLURM_NTASKS=4", "pretrain", run), 2, "start with: srun --mpi=pmix");
  expect_refused(run_program_with("WORLD_SIZE=2", "kindred", "pretrain " + run), 2,
                 "kindred pretrain --processes 2");
  expect_refused(
      run_program_with("WORLD_SIZE=2", "embed", set + " --out " + (folder / "features.npz").string()), 2,
      "embed works in one process, and torchrun has started 2");
  CHECK(run_program_with("WORLD_SIZE=2", "embed", "--help").code == 0);
  const ProgramResult second = run_program_with("WORLD_SIZE=2 RANK=1", "pretrain", run);
  CHECK(second.code == 2);
  CHECK(second.output.empty());  // rank 0 speaks for both
  CHECK(!fs::exists(folder.path / "run"));
  CHECK(run_program_with("SLURM_NTASKS=4", "pretrain", run + "--processes 1").code == 0);
}

TEST_CASE("processes: mpirun by hand") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string mpirun =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n 2 --oversubscribe env ";
  const ProgramResult result = run_program_with(mpirun, "pretrain", set + " --out " + run + on_cpu);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(count_of(result.output, "epoch 1/1") == 1);
  CHECK(json_lines(fs::path(run) / "metrics.jsonl").at(0)["processes"] == 2);
  const ProgramResult other =
      run_program_with(mpirun, "pretrain", set + " --out " + run + "3" + on_cpu + "--processes 3");
  CHECK(other.code == 2);
  CHECK(count_of(other.output,
                 "error: --processes 3, and mpirun has started 2 processes; leave out the flag") == 1);
  const ProgramResult alone =
      run_program_with(mpirun, "embed", set + " --out " + (folder / "features.npz").string());
  CHECK(alone.code == 2);
  CHECK(count_of(alone.output, "error: embed works in one process, and mpirun has started 2") == 1);
}

}  // namespace
}  // namespace kindred
