// Whether somebody else has started this process as one of several: mpirun, Slurm's srun, or torchrun. A process that did
// not notice would train alone, and so would each of the others, on the same images.
#pragma once

#include <kindred/engine/error.h>

#include <functional>
#include <optional>
#include <string>

namespace kindred {

struct ForeignLaunch {
  std::string launcher;  // "mpirun"
  std::string variable;  // what said so: "OMPI_COMM_WORLD_SIZE"
  int size = 1;
  int rank = 0;
  // MPI of this make can bring the processes together: mpirun of Open MPI, and srun --mpi=pmix.
  bool brings_mpi = false;
  // False in Slurm's batch script, which runs once although the job has several tasks.
  bool every_process_runs = true;
};

using Environment = std::function<const char*(const char* name)>;  // as std::getenv

// What the environment says; nullopt if this process was started alone.
std::optional<ForeignLaunch> foreign_launch(const Environment& environment);
std::optional<ForeignLaunch> foreign_launch();

// How the processes should have been started, as the end of an error: "start with: mpirun -n 4 pretrain ...".
std::string how_to_start(const ForeignLaunch& launch, const std::string& program);

// For a program that works in several processes: until they know each other (start.h), all find the same wrong flags, and
// only rank 0 says anything.
void let_rank_0_speak();

// For a program that works in one process. Throws Error(usage) if it was started several times; in processes but rank 0
// it ends the process with the same code and no line.
void refuse_foreign_launch(const std::string& program);

// Throws the error in rank 0. The other processes end with its code and without a line, a little later, because
// launchers end all when the first has ended.
[[noreturn]] void refuse_in_all(const ForeignLaunch& launch, const Error& error);

}  // namespace kindred
