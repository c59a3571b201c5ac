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
  bool is_first_of_host = true;  // also if the launcher does not say
  // The end of one process with an error makes the launcher end the others.
  bool ends_others() const { return launcher == "mpirun"; }
};

using Environment = std::function<const char*(const char* name)>;  // as std::getenv

// What the environment says; nullopt if this process was started alone.
std::optional<ForeignLaunch> foreign_launch(const Environment& environment);
std::optional<ForeignLaunch> foreign_launch();

// How the processes should have been started, as the end of an error: "start with: mpirun -n 4 pretrain ...".
std::string how_to_start(const ForeignLaunch& launch, const std::string& program);

// For a program that works in several processes, before it reads its flags. If it was started as one of several, it tells the
// launcher that it is there (launched.h), remembers from now on signals that ask it to end, and its errors are those of all
// processes: until they know each other (start.h), all find the same wrong flags, and rank 0 says it. A process that
// has an error alone says it after a while.
void let_rank_0_speak();

// For a program that works in one process. Throws Error(usage) if it was started several times; processes but rank 0 end as
// those of refuse_in_all().
void refuse_foreign_launch(const std::string& program);

// Whether a rank above 0 that has an error before MPI is open may say it, once its turn has come (end_above_rank_0). Where rank
// 0's end is that of the others, it may: whoever is still there then has the error alone. Where it is not, nothing tells whose
// an error is. So wrong usage is rank 0's to say, as all were given the same command; and any other error that of the first
// process of each host, as what a process lacks its host lacks. No error goes without a line: of one that nobody says rank 0
// says, after the time limit, that MPI did not open.
bool may_say_error(const ForeignLaunch& launch, ExitCode code);

// Throws the error in rank 0. The other processes end with its code a little later, and say it where they may.
[[noreturn]] void refuse_in_all(const ForeignLaunch& launch, const Error& error);

}  // namespace kindred
