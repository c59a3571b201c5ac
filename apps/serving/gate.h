// Bounds what many threads take at once: their number, and the bytes that they need together.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace kindred {

class Gate {
 public:
  // Leaves the gate when it is destroyed.
  class Pass {
   public:
    Pass(Gate& gate, std::size_t bytes) : gate_(&gate), bytes_(bytes) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), bytes_(other.bytes_) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave(bytes_);
    }

   private:
    Gate* gate_;
    std::size_t bytes_;
  };

  // most_inside >= 1
  Gate(std::int64_t most_inside, std::size_t most_bytes) : most_inside_(most_inside), most_bytes_(most_bytes) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits until there is room. Who needs more than all of it gets in alone.
  [[nodiscard]] Pass enter(std::size_t bytes);
  // Empty if there is no room now.
  [[nodiscard]] std::optional<Pass> try_to_enter(std::size_t bytes);

 private:
  bool has_room(std::size_t bytes) const;
  void leave(std::size_t bytes);

  const std::int64_t most_inside_;
  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::int64_t inside_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace kindred
