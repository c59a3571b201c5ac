// How a program becomes one of several processes that train together, before it reads anything but its command line.
//
//   if (const auto done = line.parse(argc, argv)) return *done;
//   if (const auto ended = start_processes(asked)) return *ended;   // before watch_for_interrupts() and before the set is read
//   const DeviceChoice device = choose_device(flags.device);
//   connect_devices(device);                                        // before anything holds a reference to world()
//
// The main() of all programs (apps/kindred.cpp) has called let_rank_0_speak() before (foreign_launchers.h).
//
// There are three ways to start:
//   pretrain ...                  one process: nothing is called, and world() stays one process alone
//   pretrain --processes 4 ...    this process starts mpirun, which starts the same command four times; it hands its standard
//                                 output to rank 0, passes signals on, and ends with the run's code (launcher.h)
//   mpirun -n 4 pretrain ...      or srun --mpi=pmix: the processes are there already (foreign_launchers.h)
#pragma once

#include <kindred/engine/device.h>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

class CommandLine;

// What the command line says about processes.
struct ProcessesAsked {
  std::optional<std::int64_t> processes{};  // --processes: on this machine
  std::optional<std::int64_t> gpus{};       // --gpus: as many processes, each with a GPU of its own
  double timeout = 60;          // --timeout, in seconds: how long processes wait for one that does not answer
  std::string device = "auto";  // --device
  // False for --dry-run: no other process is started, and the program computes alone what one of `processes` would.
  bool may_start_others = true;
};

// Texts of --help and the ranges, so that the flags are the same in every program that has them.
inline constexpr const char* processes_help =
    "processes on this machine that train together; each takes its share of a batch";
inline constexpr const char* gpus_help = "as many processes on this machine, each on a GPU of its own";
inline constexpr const char* timeout_help = "seconds to wait for a process that does not answer";
inline constexpr double most_processes = 65536, most_timeout = 1e6;

// Adds --processes, --gpus and --timeout. For programs whose flags are not rows of a table, as those of pretrain are.
void add_process_flags(CommandLine& line, ProcessesAsked& asked);

// Throws Error(usage) for numbers that cannot be (--gpus 0), and for flags that contradict each other.
void check_processes(const ProcessesAsked& asked);

// The number of processes that the flags ask for: 1 without any.
std::int64_t asked_size(const ProcessesAsked& asked);

// Returns an exit code if this process has started others and they have ended: the program returns it. Otherwise the
// program goes on as one of world(), which it is from now on. In processes but rank 0, standard output leads nowhere.
// Watches for interrupts if there are several processes. Throws Error(usage) if other processes were started in a way
// that does not bring them together, and Error(device) without mpirun, without MPI, or without a GPU for each.
std::optional<int> start_processes(const ProcessesAsked& asked);

// Opens what carries tensors of the chosen device between the processes. Throws Error(device) if the processes have
// chosen different devices, or two of them the same GPU. Does nothing if this process is alone (on a GPU, KINDRED_NCCL=1
// in the environment opens NCCL all the same, for tests).
void connect_devices(const DeviceChoice& device);

// How many of the processes run on this machine: they share its memory and its cores.
int processes_here();

}  // namespace kindred
