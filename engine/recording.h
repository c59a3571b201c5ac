// GPU work that is recorded once and started again as a whole: on a GPU a CUDA graph, which costs the host one
// call instead of some hundred.
//
// What is recorded has fixed addresses. So the tensors of a recording come from a pool that recordings own: it
// lives as long as they do, and while one of them lives, whoever else asks it for memory gets an error.
// Recordings of one pool may share addresses: what one leaves is there until another one is started.
#pragma once

#include <kindred/engine/memory.h>

#include <functional>
#include <memory>
#include <utility>

namespace kindred {

class Recording {
 public:
  Recording() = default;  // empty

  // Calls `body` and notes down the GPU work that it starts; none of it is done. `body` must not wait for the
  // GPU, read from it or write to it from the host, and every plan that it needs must have been chosen before.
  // Its tensors come from `pool`. What else it reads and writes must live as long as the recording.
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
  void replay() const;  // starts it and does not wait

 private:
  std::shared_ptr<MemoryPool> pool_;
  void* recorded_ = nullptr;
};

}  // namespace kindred
