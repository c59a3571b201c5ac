// How bytes get from one process to the others: MPI for memory of the host, NCCL for memory of a GPU. A Communicator
// (communicator.h) is built on one or two of these; nothing else calls them.
//
// Every process makes the same calls in the same order. All functions throw Error; which codes and lines the run then
// ends with is decided by the programs (apps/processes).
#pragma once

#include <kindred/engine/dtype.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace kindred {

enum class Reduction : std::uint8_t { sum, max };

class Transport {
 public:
  virtual ~Transport() = default;

  // In place. Every process gets the same bits. Sums of bf16 and f16 are rounded as the library rounds them.
  virtual void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) = 0;
  // `from` holds `bytes` bytes, `to` size * bytes: those of process r begin at r * bytes. They do not overlap, or `from` is
  // this process's place in `to`.
  virtual void all_gather(const void* from, void* to, std::size_t bytes) = 0;
  virtual void broadcast(void* data, std::size_t bytes, int root) = 0;

  // Between the two calls, calls may be collected and made as one: their results are there after the second.
  virtual void begin_group() {}
  virtual void end_group() {}

  // Starts to sum; the caller computes meanwhile and does not touch `data` before finish_sums(). Several sums may be
  // under way, each is finished in the order of the calls, and no other function is called in between except these three.
  // all_reduce, all_gather and broadcast may be: batch norms send while gradients are summed.
  virtual void start_sum(void* data, std::int64_t count, DType type) = 0;
  // Lets sums that were started go on, where nobody else does; cheap, and it never waits.
  virtual void progress() {}
  // Results of the sums may be read, by the host or, on a GPU, by work that is started from now on.
  virtual void finish_sums() = 0;

  // For a wait for other processes that this transport does not see, as one for a GPU that waits for theirs. To be called
  // every few milliseconds of it, by the thread that makes the other calls; `waited` is the seconds so far. As in its own
  // waits, the transport then answers other processes, and finds out who is lost once the wait is longer than time_limit():
  // it ends the run or throws Error(lost). `problem` says why the wait is already known to be in vain, and "" while it is
  // not: who is lost is then found out at once, and if all processes are there, `problem` is the error. Returns false if
  // this transport cannot find that out.
  virtual bool look([[maybe_unused]] double waited, [[maybe_unused]] const std::string& problem) {
    return false;
  }

  // What it is, for reports: "Open MPI 4.1.4".
  virtual std::string description() const = 0;
};

}  // namespace kindred
