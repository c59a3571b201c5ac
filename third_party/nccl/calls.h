// The calls of NCCL that Kindred makes. One table calls NVIDIA's library (library.cpp), the other takes its place where
// the GPU is emulated (library_emulated.cpp), so that nccl_transport.cpp does the same with both.
//
// As in nccl.h, a communicator is what one process has of a group of processes that call each other. Calls of one
// communicator must be made in the same order by all of its processes. They start work on a stream and do not wait for it.
// Every call throws Error, with NCCL's own words, unless it says something else.
#pragma once

#include <kindred/engine/communicator/transport.h>
#include <kindred/engine/device_kernels.h>

#include <array>
#include <string>

struct ncclComm;  // of nccl.h: what an ncclComm_t points to

namespace kindred::nccl {

// By this the processes of a new communicator find each other (ncclUniqueId).
using Id = std::array<char, 128>;

struct Calls {
  // These two open the library and throw nothing.
  std::string (*why_missing)();  // why it cannot be used, and what to do; "" if it can
  std::string (*where)();        // "NCCL 2.28.9 in /usr/lib/x86_64-linux-gnu", or why_missing()
  std::string (*version)();      // "2.28.9"

  // Both wait until all processes have called. They may be called by a thread that does nothing else.
  Id (*make_id)();  // by one process, which gives it to the others
  ncclComm* (*join)(const Id& id, int rank, int size);
  ncclComm* (*split)(ncclComm* communicator);  // another one of the same processes, with resources of its own

  // Why the communicator can no longer be used, or "". Any thread may ask, at any time.
  std::string (*problem)(ncclComm* communicator);
  // Ends its work on the GPU without the other processes. May not return while a recording holds a call of it.
  void (*abort)(ncclComm* communicator);
  // Waits for its work first, and for the end of every recording that holds a call of it.
  void (*destroy)(ncclComm* communicator);

  // As in Transport.
  void (*all_reduce)(void* data, std::int64_t count, DType type, Reduction reduction, ncclComm* communicator,
                     GpuStream stream);
  void (*all_gather)(const void* from, void* to, std::size_t bytes, ncclComm* communicator, GpuStream stream);
  void (*broadcast)(void* data, std::size_t bytes, int root, ncclComm* communicator, GpuStream stream);
  void (*begin_group)();
  void (*end_group)();
};

// Null in a build without CUDA or without nccl.h.
extern const Calls* const calls_of_cuda;

}  // namespace kindred::nccl
