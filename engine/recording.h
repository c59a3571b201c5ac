// GPU work that is recorded once and replayed as a whole. On a GPU this is a CUDA graph: a replay costs the
// host one call instead of several hundred.
//
// A recording has fixed addresses. So its tensors come from a pool that the recordings own: the pool lives as
// long as they do, and while one of them exists, any other request for its memory is an error. Recordings of
// one pool may share addresses: the results of one stay valid until another one is replayed.
#pragma once

#include <kindred/engine/memory.h>

#include <functional>
#include <memory>
#include <utility>

namespace kindred {

class Recording {
 public:
  Recording() = default;  // empty

  // Calls `body` and records the GPU work that it starts, without executing it. `body` must not wait for the
  // GPU, and the host must not read or write GPU memory. Every plan that the work needs must have been chosen
  // before. The tensors of `body` come from `pool`. Everything else that it reads or writes must live as long
  // as the recording.
  Recording(std::shared_ptr<MemoryPool> pool, const std::function<void()>& body);
  ~Recording();
  Recording(Recording&& other) noexcept
      : pool_(std::move(other.pool_)), recorded_(std::exchange(other.recorded_, nullptr)) {}
  Recording& operator=(Recording&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(recorded_, other.recorded_);
    return *this;
  }

  bool is_empty() const { return recorded_ == nullptr; }
  void replay() const;  // starts the work and does not wait

 private:
  std::shared_ptr<MemoryPool> pool_;
  void* recorded_ = nullptr;
};

}  // namespace kindred
