// Bounds what many threads take at once: their number, and an amount (bytes, or images) that they need together.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <utility>

namespace kindred {

// Called again and again during long work. Throws, which ends the work, once nobody needs its result any more.
using WantedCheck = std::function<void()>;

class Gate {
 public:
  // Leaves the gate when it is destroyed.
  class Pass {
   public:
    Pass(Gate& gate, std::size_t amount) : gate_(&gate), amount_(amount) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)), amount_(other.amount_) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave(amount_);
    }
    std::size_t amount() const { return amount_; }
    // Takes so much more; false if there is no room for it now.
    [[nodiscard]] bool try_to_grow(std::size_t more);

   private:
    Gate* gate_;
    std::size_t amount_;
  };

  // most_inside >= 1
  Gate(std::int64_t most_inside, std::size_t most_amount)
      : most_inside_(most_inside), most_amount_(most_amount) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Waits until there is room; first come, first served, so that who needs much is not passed by others for ever. Who needs
  // more than all of it gets in alone. `check` is called at least ten times a second while it waits, and may end that by throwing.
  [[nodiscard]] Pass enter(
      std::size_t amount, const WantedCheck& check = [] {});
  // Empty if there is no room now, or others wait for it.
  [[nodiscard]] std::optional<Pass> try_to_enter(std::size_t amount);
  std::size_t waiting() const;  // threads in enter()

 private:
  bool has_room(std::size_t amount) const;
  void leave(std::size_t amount);

  const std::int64_t most_inside_;
  const std::size_t most_amount_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::size_t> line_;  // the amounts of those who wait, the first one first
  std::int64_t inside_ = 0;
  std::size_t amount_ = 0;
};

}  // namespace kindred
