// Batches on their way to the GPU: from pinned memory, on a stream of their own, into one of two slots, so that
// the next batch travels while the GPU computes on this one.
#pragma once

#include <kindred/engine/device_kernels.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kindred {

class InputFeed {
 public:
  static constexpr int slots = 2;

  // Batches of u8 bytes of this shape, and i32 labels [rows].
  InputFeed(const Shape& shape, std::int64_t rows);
  ~InputFeed();
  InputFeed(const InputFeed&) = delete;
  InputFeed& operator=(const InputFeed&) = delete;

  // Sends a batch to `slot`. Waits only until the pinned memory is free: for the batch before the last to have
  // gone.
  void send(int slot, std::span<const std::uint8_t> bytes, const std::vector<std::int32_t>& labels);
  // What is started on the GPU from now on finds the batch in the slot.
  void wait_for(int slot) const;
  // What was started so far is the last that reads the slot's batch.
  void release(int slot) const;

  const Tensor& bytes(int slot) const { return at(slot).bytes; }
  const Tensor& labels(int slot) const { return at(slot).labels; }

 private:
  struct Slot {
    Tensor bytes, labels;
    void *pinned = nullptr, *arrived = nullptr, *released = nullptr;  // memory, and two events
    bool used = false;
  };
  const Slot& at(int slot) const { return slots_[static_cast<std::size_t>(slot)]; }

  std::array<Slot, slots> slots_;
};

}  // namespace kindred
