// Batches on their way to the GPU: from pinned memory, on a stream of their own, into one of two slots, so that
// the next batches travel while the GPU computes on these. A slot holds those of one launch.
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

  // For launches of up to `steps` steps; each has so many u8 bytes, i32 labels and f32 rates.
  InputFeed(std::int64_t steps, std::int64_t bytes, std::int64_t labels, std::int64_t rates);
  ~InputFeed();
  InputFeed(const InputFeed&) = delete;
  InputFeed& operator=(const InputFeed&) = delete;

  // Puts what a step reads where the slot is sent from; the slot's first step first, which waits until the
  // memory is free: for the launch before the last to have been sent.
  void put(int slot, std::int64_t step, std::span<const std::uint8_t> bytes,
           std::span<const std::int32_t> labels, std::span<const float> rates);
  // Sends all of it.
  void send(int slot);
  // What is started on the GPU from now on finds it in the slot.
  void wait_for(int slot) const;
  // What was started so far is the last that reads the slot.
  void release(int slot) const;

  // Of one step, flat.
  Tensor bytes(int slot, std::int64_t step) const { return of_step(at(slot).bytes, step); }
  Tensor labels(int slot, std::int64_t step) const { return of_step(at(slot).labels, step); }
  Tensor rates(int slot, std::int64_t step) const { return of_step(at(slot).rates, step); }

 private:
  struct Slot {
    Tensor bytes, labels, rates;                                      // [steps, ...]
    void *pinned = nullptr, *arrived = nullptr, *released = nullptr;  // memory, and two events
    bool used = false;
  };
  const Slot& at(int slot) const { return slots_[static_cast<std::size_t>(slot)]; }
  static Tensor of_step(const Tensor& all, std::int64_t step) {
    return all.window(step * all.dim(1), {all.dim(1)});
  }

  std::array<Slot, slots> slots_;
};

}  // namespace kindred
