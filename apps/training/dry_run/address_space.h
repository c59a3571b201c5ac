// The address space that a run takes, where it is limited (`ulimit -v`). Such a limit counts what is reserved, so a run
// needs more of it than of memory.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <cstddef>
#include <cstdint>

namespace kindred {

// The threads that a run on the host has at once beside its main thread: the others of those that compute (`computing`
// with the main thread), the workers of two loaders while accuracies are measured (of one if they never are), and the one
// that writes checkpoints.
std::int64_t threads_of_run(const PretrainOptions& options, int computing);

// The addresses that the system reserves for the stack of a new thread, in bytes: `ulimit -s`, or 2 MiB if that is
// unlimited.
std::size_t stack_of_thread();

// What is reserved in addition to what the process has now.
struct Reservation {
  std::int64_t threads = 0;     // that are still to be started
  std::size_t stack = 0;        // bytes for each
  std::size_t pool_held = 0;    // bytes that the tensors' pool holds in slabs
  std::size_t pool_in_use = 0;  // bytes of these that tensors have at the peak of a step
};

// The bytes of addresses that are reserved for stacks.
std::size_t addresses_of_stacks(const Reservation& reservation);

// The bytes of addresses that are reserved and that the plan of the memory does not count.
std::size_t addresses_beyond_memory(const Reservation& reservation);

}  // namespace kindred
