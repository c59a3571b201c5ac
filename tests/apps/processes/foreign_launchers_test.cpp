// What the environment of a process says about how it was started.
#include <kindred/apps/processes/foreign_launchers.h>

#include <doctest/doctest.h>

#include <map>

namespace kindred {
namespace {

std::optional<ForeignLaunch> launched_in(const std::map<std::string, std::string>& environment) {
  return foreign_launch([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST_CASE("foreign launchers: a process alone is none of several") {
  CHECK(!launched_in({}));
  CHECK(!launched_in({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}}));
  CHECK(!launched_in({{"WORLD_SIZE", "1"}, {"RANK", "0"}}));
  CHECK(!launched_in({{"SLURM_NTASKS", "1"}}));
  CHECK(!launched_in({{"WORLD_SIZE", "many"}}));
  CHECK(!launched_in({{"WORLD_SIZE", "-4"}}));
  CHECK(!launched_in({{"WORLD_SIZE", ""}}));
  CHECK(!launched_in({{"RANK", "3"}}));
  // A shell that srun started within a job of eight tasks.
  CHECK(!launched_in({{"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}}));
}

TEST_CASE("foreign launchers: mpirun and srun with PMIx bring the processes together") {
  const auto mpirun =
      launched_in({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"SLURM_NTASKS", "2"}});
  REQUIRE(mpirun);
  CHECK(mpirun->launcher == "mpirun");
  CHECK(mpirun->size == 4);
  CHECK(mpirun->rank == 3);
  CHECK(mpirun->brings_mpi);
  const auto srun = launched_in({{"SLURM_STEP_NUM_TASKS", "16"},
                                 {"SLURM_NTASKS", "16"},
                                 {"SLURM_PROCID", "5"},
                                 {"PMIX_NAMESPACE", "slurm.pmix.1.0"}});
  REQUIRE(srun);
  CHECK(srun->size == 16);
  CHECK(srun->rank == 5);
  CHECK(srun->brings_mpi);
}

TEST_CASE("foreign launchers: who says an error that others may have too") {
  const auto mpirun = launched_in(
      {{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}});
  const auto srun_task = [](const char* rank, const char* place) {
    return launched_in({{"SLURM_STEP_NUM_TASKS", "16"}, {"SLURM_PROCID", rank}, {"SLURM_LOCALID", place}});
  };
  const auto first_of_host = srun_task("8", "0"), second_of_host = srun_task("9", "1");
  REQUIRE((mpirun && first_of_host && second_of_host));
  for (const ExitCode code : {ExitCode::usage, ExitCode::data, ExitCode::device, ExitCode::interrupted}) {
    CHECK(may_say_error(*mpirun, code));  // it is still there, so rank 0 has not ended
    CHECK(may_say_error(*first_of_host, code) == (code != ExitCode::usage));
    CHECK(!may_say_error(*second_of_host, code));
  }
  const auto unknown_place = launched_in({{"SLURM_STEP_NUM_TASKS", "16"}, {"SLURM_PROCID", "9"}});
  REQUIRE(unknown_place);
  CHECK(may_say_error(*unknown_place, ExitCode::device));
  const auto torchrun = launched_in({{"WORLD_SIZE", "8"}, {"RANK", "2"}, {"LOCAL_RANK", "2"}});
  REQUIRE(torchrun);
  CHECK(!may_say_error(*torchrun, ExitCode::device));
}

TEST_CASE("foreign launchers: the others do not, and the advice says what does") {
  const auto torchrun = launched_in({{"WORLD_SIZE", "8"}, {"RANK", "2"}, {"LOCAL_RANK", "2"}});
  REQUIRE(torchrun);
  CHECK(torchrun->launcher == "torchrun");
  CHECK(torchrun->rank == 2);
  CHECK(!torchrun->brings_mpi);
  CHECK(
      how_to_start(*torchrun, "kindred pretrain").starts_with("start with: mpirun -n 8 kindred pretrain ..."));
  const auto plain_srun = launched_in({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}});
  REQUIRE(plain_srun);
  CHECK(!plain_srun->brings_mpi);
  CHECK(plain_srun->every_process_runs);
  CHECK(how_to_start(*plain_srun, "pretrain").starts_with("start with: srun --mpi=pmix pretrain ..."));
  const auto batch_script = launched_in({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}});
  REQUIRE(batch_script);
  CHECK(!batch_script->brings_mpi);
  CHECK(!batch_script->every_process_runs);
  const auto other_make = launched_in({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}});
  REQUIRE(other_make);
  CHECK(!other_make->brings_mpi);
  CHECK(other_make->rank == 1);
}

}  // namespace
}  // namespace kindred
