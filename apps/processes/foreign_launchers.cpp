#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/foreign_launchers.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/engine/error.h>

#include <unistd.h>  // defines: getppid

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace kindred {
namespace {

std::optional<int> whole_number(const char* text) {
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* const end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < 0) return std::nullopt;
  return number;
}

// A launcher's variables.
struct Launcher {
  const char* name;
  const char* size;
  const char* rank;
  const char* place;  // among the processes of its host
  bool brings_mpi;
};

// In the order in which they are asked: mpirun within a job of Slurm sets both its own and Slurm's.
constexpr Launcher launchers[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", true},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", true},
    {"an MPI that is not Open MPI", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", false},
    {"torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK", false}};

// Of a process but rank 0.
[[noreturn]] void end_one_of_all(const ForeignLaunch& launch, ExitCode code, const std::string& message) {
  end_above_rank_0(launch.rank, code, may_say_error(launch, code) ? message : "");
}

}  // namespace

std::optional<ForeignLaunch> foreign_launch(const Environment& environment) {
  for (const Launcher& launcher : launchers) {
    const std::optional<int> size = whole_number(environment(launcher.size));
    if (!size || *size <= 1) continue;
    ForeignLaunch launch;
    launch.launcher = launcher.name;
    launch.variable = launcher.size;
    launch.size = *size;
    launch.rank = whole_number(environment(launcher.rank)).value_or(0);
    launch.brings_mpi = launcher.brings_mpi;
    launch.is_first_of_host = whole_number(environment(launcher.place)).value_or(0) == 0;
    // srun tells a process how to find the others only if it was asked for an MPI.
    if (launch.launcher == "srun") launch.brings_mpi = environment("PMIX_NAMESPACE") != nullptr;
    return launch;
  }
  // A batch script has the number of tasks and is none of them; srun's tasks have the number of the step's too.
  const std::optional<int> tasks = whole_number(environment("SLURM_NTASKS"));
  if (tasks && *tasks > 1 && environment("SLURM_STEP_NUM_TASKS") == nullptr)
    return ForeignLaunch{"Slurm", "SLURM_NTASKS", *tasks, 0, false, false, true};
  return std::nullopt;
}

std::optional<ForeignLaunch> foreign_launch() {
  return foreign_launch([](const char* name) -> const char* { return std::getenv(name); });
}

std::string how_to_start(const ForeignLaunch& launch, const std::string& program) {
  if (launch.launcher == "srun" || launch.launcher == "Slurm")
    return fmt::format("start with: srun --mpi=pmix {} ... (docs/scale.md), or alone with --processes 1",
                       program);
  return fmt::format(
      "start with: mpirun -n {} {} ..., or on one machine: {} --processes {} ... (docs/scale.md); if nothing "
      "has started "
      "this process, unset {}",
      launch.size, program, program, launch.size, launch.variable);
}

bool may_say_error(const ForeignLaunch& launch, ExitCode code) {
  return launch.ends_others() || (code != ExitCode::usage && launch.is_first_of_host);
}

void refuse_in_all(const ForeignLaunch& launch, const Error& error) {
  if (launch.rank == 0 || launch.rank >= launch.size) throw error;  // what writes it adds the advice
  end_one_of_all(launch, error.code(), message_with_advice(error));
}

void let_rank_0_speak() {
  if (is_launched()) {
    const int rank = rank_of_launched();
    watch_for_interrupts();  // the launcher hands signals on from now on
    join_launcher(rank);
    end_before_mpi_is_open(rank);
    return;
  }
  const std::optional<ForeignLaunch> launch = foreign_launch();
  if (!launch || !launch->every_process_runs) return;
  if (launch->brings_mpi) {
    take_as_handed_on(::getppid());
    watch_for_interrupts();
  }
  if (launch->rank == 0) return;
  set_process_end(
      {.failed = [launch = *launch](ExitCode code,
                                    const std::string& message) { end_one_of_all(launch, code, message); },
       .finished = {}});
}

void refuse_foreign_launch(const std::string& program) {
  const std::optional<ForeignLaunch> launch = foreign_launch();
  if (!launch || !launch->every_process_runs) return;
  refuse_in_all(
      *launch,
      Error(ExitCode::usage,
            fmt::format("{} works in one process, and {} has started {} ({}={}); start it once, without {}",
                        program, launch->launcher, launch->size, launch->variable, launch->size,
                        launch->launcher)));
}

}  // namespace kindred
