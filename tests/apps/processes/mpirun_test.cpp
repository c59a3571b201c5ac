// How mpirun is found and started, and where processes run.
#include "../../engine/temporary_folder.h"

#include <kindred/apps/processes/launcher/mpirun.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool holds(const std::vector<std::string>& entries, const std::string& entry) {
  return std::find(entries.begin(), entries.end(), entry) != entries.end();
}

bool holds_variable(const std::vector<std::string>& entries, const std::string& name) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const std::string& entry) { return entry.starts_with(name + "="); });
}

MpirunPlan plan_of(int processes, int cores) {
  MpirunPlan plan;
  plan.mpirun = "/opt/bin/mpirun";
  plan.folder = "/tmp/folder";
  plan.socket = "/tmp/folder/launcher";
  plan.processes = processes;
  plan.cores = cores;
  plan.program = {"apps/pretrain", "set", "--out", "a run", "--processes", "4"};
  return plan;
}

TEST_CASE("mpirun: the first one in PATH that may be executed") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path / "a");
  fs::create_directories(folder.path / "b");
  fs::create_directories(folder.path / "c" / "mpirun");
  write_bytes(folder.path / "a" / "mpirun", "a note");
  write_bytes(folder.path / "b" / "mpirun", "#!/bin/sh\n");
  fs::permissions(folder.path / "b" / "mpirun", fs::perms::owner_all);
  const std::string a = folder / "a", b = folder / "b", c = folder / "c";
  CHECK(!find_mpirun(nullptr));
  CHECK(!find_mpirun(""));
  CHECK(!find_mpirun(c.c_str()));
  const auto found = find_mpirun((c + ":" + a + "::" + b).c_str());
  REQUIRE(found);
  CHECK(*found == fs::path(b) / "mpirun");
}

TEST_CASE("mpirun: the command is typed again, behind mpirun's own flags") {
  const MpirunStart start = mpirun_start(plan_of(4, 8), {});
  CHECK(start.command == std::vector<std::string>{"/opt/bin/mpirun", "-n", "4", "--bind-to", "none",
                                                  "--oversubscribe", "apps/pretrain", "set", "--out", "a run",
                                                  "--processes", "4"});
}

TEST_CASE("mpirun: the processes share the cores, unless the user has said how many threads each has") {
  CHECK(holds(mpirun_start(plan_of(4, 8), {}).environment, "OMP_NUM_THREADS=2"));
  CHECK(holds(mpirun_start(plan_of(3, 8), {}).environment, "OMP_NUM_THREADS=2"));
  CHECK(holds(mpirun_start(plan_of(4, 2), {}).environment, "OMP_NUM_THREADS=1"));
  const MpirunStart said = mpirun_start(plan_of(4, 8), {"OMP_NUM_THREADS=7"});
  CHECK(holds(said.environment, "OMP_NUM_THREADS=7"));
  CHECK(std::count_if(said.environment.begin(), said.environment.end(),
                      [](const std::string& entry) { return entry.starts_with("OMP_NUM_THREADS="); }) == 1);
}

TEST_CASE(
    "mpirun: what processes share in memory is in the launcher's folder, unless the user has named another") {
  MpirunPlan plan = plan_of(2, 2);
  CHECK(!holds_variable(mpirun_start(plan, {}).environment, "OMPI_MCA_btl_vader_backing_directory"));
  plan.memory = "/dev/shm/folder";
  CHECK(holds(mpirun_start(plan, {}).environment, "OMPI_MCA_btl_vader_backing_directory=/dev/shm/folder"));
  const MpirunStart named = mpirun_start(plan, {"OMPI_MCA_btl_vader_backing_directory=/mine"});
  CHECK(holds(named.environment, "OMPI_MCA_btl_vader_backing_directory=/mine"));
  CHECK(!holds(named.environment, "OMPI_MCA_btl_vader_backing_directory=/dev/shm/folder"));
}

TEST_CASE("mpirun: sees no job of a cluster, and nothing of an earlier launch") {
  const MpirunStart start =
      mpirun_start(plan_of(2, 2), {"HOME=/home/ada", "SLURM_JOBID=7", "SLURM_NTASKS=8", "PMIX_RANK=1",
                                   "OMPI_COMM_WORLD_SIZE=2", "PBS_NODEFILE=/nodes", "KINDRED_LAUNCHED=/old",
                                   "OMPI_MCA_plm=rsh", "SLURMY=stays"});
  for (const char* const gone :
       {"SLURM_JOBID", "SLURM_NTASKS", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "PBS_NODEFILE"})
    CHECK_MESSAGE(!holds_variable(start.environment, gone), gone);
  CHECK(holds(start.environment, "HOME=/home/ada"));
  CHECK(holds(start.environment, "SLURMY=stays"));
  CHECK(holds(start.environment, "OMPI_MCA_plm=rsh"));  // the user's own
  CHECK(holds(start.environment, "KINDRED_LAUNCHED=/tmp/folder/launcher"));
  CHECK(!holds(start.environment, "KINDRED_LAUNCHED=/old"));
  CHECK(!holds_variable(start.environment, "OMPI_ALLOW_RUN_AS_ROOT"));
  MpirunPlan as_root = plan_of(2, 2);
  as_root.is_root = true;
  const MpirunStart root = mpirun_start(as_root, {"OMPI_ALLOW_RUN_AS_ROOT=0"});
  CHECK(holds(root.environment, "OMPI_ALLOW_RUN_AS_ROOT=1"));
  CHECK(!holds(root.environment, "OMPI_ALLOW_RUN_AS_ROOT=0"));
  CHECK(holds(root.environment, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"));
}

TEST_CASE("mpirun: a command that names another file, or none, is replaced by this program's path") {
  const std::string self = fs::read_symlink("/proc/self/exe").string();
  CHECK(command_again({self, "--x"}) == std::vector<std::string>{self, "--x"});
  CHECK(command_again({"no_such_program", "--x"}) == std::vector<std::string>{self, "--x"});
  CHECK(command_again({"/bin/sh"}) == std::vector<std::string>{self});
}

TEST_CASE("places: each process takes the GPU of its place, and too few are refused") {
  const std::vector<std::string> four = {"4", "5", "6", "GPU-77"};
  CHECK(gpu_of_place(four, 0, 4, "node1") == "4");
  CHECK(gpu_of_place(four, 3, 4, "node1") == "GPU-77");
  CHECK(gpu_of_place(four, 1, 2, "node1") == "5");
  CHECK(gpu_of_place({"3"}, 5, 8, "node1") == "3");  // a scheduler may show each process its own
  try {
    gpu_of_place(four, 1, 5, "node1");
    FAIL("five processes on four GPUs");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::device);
    CHECK(std::string(error.what()).starts_with("5 processes on node1, and it has 4 GPUs for them; "));
  }
}

TEST_CASE("places: cores in words") {
  CHECK(usable_cores() >= 1);
  CHECK(!usable_cores_in_words().empty());
  CHECK(usable_cores_in_words().find_first_not_of("0123456789-,") == std::string::npos);
  CHECK(!host_name().empty());
}

}  // namespace
}  // namespace kindred
