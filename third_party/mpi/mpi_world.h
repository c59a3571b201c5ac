// The processes of a run that MPI brought together: what programs call at their beginning and at their end.
//
//   set_world(open_mpi_world(4));            // by each of the 4 processes that mpirun started
//   set_world(mpi_world_with(open_nccl(world())));   // if they compute on GPUs
//   ...
//   close_mpi_world();                       // at a good end; an error ends all by mpi_transport().end_together()
#pragma once

#include <kindred/engine/communicator/communicator.h>
#include <kindred/third_party/mpi/mpi_library.h>
#include <kindred/third_party/mpi/mpi_transport.h>

#include <functional>
#include <memory>
#include <string>

namespace kindred {

// MPI itself waits for a process that is missing or hangs for as long as it takes. If it has not opened within so many
// seconds, `too_late` is called by a thread of its own, and ends the process without delay: whoever opens MPI in that moment
// waits for it. Empty: nobody watches.
struct OpeningLimit {
  double seconds = 0;
  std::function<void()> too_late{};
};

// Opens MPI, once, by the main thread of each process. With `expected`, that many processes were started. Throws
// Error(device) if MPI is missing, or if it sees another number of processes, as one make of MPI does whose processes
// another make's launcher started.
std::unique_ptr<Communicator> open_mpi_world(int expected = 0, const OpeningLimit& limit = {});

// The same processes with a transport for tensors of GPUs.
std::unique_ptr<Communicator> mpi_world_with(std::shared_ptr<Transport> device);

bool mpi_is_open();
MpiTransport& mpi_transport();  // Error(internal) unless MPI is open

// How the line is written with which a run ends; "error: LINE" on standard error until set. MPI is open.
void set_last_words(FailureDetector::LastWords words);

// Makes world() one process alone, waits for the others and closes MPI. Nothing may refer to the former world() any more.
void close_mpi_world();

}  // namespace kindred
