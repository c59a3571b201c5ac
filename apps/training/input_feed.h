// Copies batches to the GPU: from pinned memory, on a separate stream, into one of two slots. So the copy of
// the next batches overlaps with the computation on the current ones. A slot holds the batches of one launch.
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

  // For launches of up to `steps` steps. Each step has this many u8 bytes, i32 labels and f32 rates.
  InputFeed(std::int64_t steps, std::int64_t bytes, std::int64_t labels, std::int64_t rates);
  ~InputFeed();
  InputFeed(const InputFeed&) = delete;
  InputFeed& operator=(const InputFeed&) = delete;

  // Writes the input of a step to the slot's pinned memory. The slot's first step must come first. It waits
  // until the memory is free, that is, until the launch before the last has been copied.
  void put(int slot, std::int64_t step, std::span<const std::uint8_t> bytes,
           std::span<const std::int32_t> labels, std::span<const float> rates);
  // Starts the copy of all of it.
  void send(int slot);
  // Work that is started on the GPU from now on waits until the slot has arrived.
  void wait_for(int slot) const;
  // Declares that no work started later reads the slot.
  void release(int slot) const;

  // Views of one step, flat.
  Tensor bytes(int slot, std::int64_t step) const { return of_step(at(slot).bytes, step); }
  Tensor labels(int slot, std::int64_t step) const { return of_step(at(slot).labels, step); }
  Tensor rates(int slot, std::int64_t step) const { return of_step(at(slot).rates, step); }

 private:
  struct Slot {
    Tensor bytes, labels, rates;                                      // [steps, ...]
    void *pinned = nullptr, *arrived = nullptr, *released = nullptr;  // memory and two events
    bool used = false;
  };
  const Slot& at(int slot) const { return slots_[static_cast<std::size_t>(slot)]; }
  static Tensor of_step(const Tensor& all, std::int64_t step) {
    return all.window(step * all.dim(1), {all.dim(1)});
  }

  std::array<Slot, slots> slots_;
};

}  // namespace kindred
