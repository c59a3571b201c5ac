#include <kindred/apps/common/input_feed.h>
#include <kindred/engine/error.h>

#include <cstring>

namespace kindred {

InputFeed::InputFeed(const Shape& shape, std::int64_t rows) {
  for (Slot& slot : slots_) {
    slot.bytes = Tensor::zeros(shape, DType::u8, Device::cuda);
    slot.labels = Tensor::zeros({rows}, DType::i32, Device::cuda);
    slot.pinned = gpu().acquire_pinned(slot.bytes.bytes() + slot.labels.bytes());
    slot.arrived = gpu().make_event();
    slot.released = gpu().make_event();
  }
  gpu().synchronize();  // the zeros are there before the copies' own stream writes over them
}

InputFeed::~InputFeed() {
  for (Slot& slot : slots_) {
    try {
      if (slot.used) gpu().wait_on_host(slot.arrived);
    } catch (const Error&) {  // of an earlier kernel; it was thrown where it happened, too
    }
    gpu().release_pinned(slot.pinned);
    gpu().destroy_event(slot.arrived);
    gpu().destroy_event(slot.released);
  }
}

void InputFeed::send(int index, std::span<const std::uint8_t> bytes, const std::vector<std::int32_t>& labels) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  check(bytes.size() == slot.bytes.bytes() && labels.size() * sizeof labels[0] == slot.labels.bytes(),
        ExitCode::internal, "a batch of {} bytes and {} labels for a feed of {} rows", bytes.size(),
        labels.size(), slot.labels.numel());
  if (slot.used) {
    gpu().wait_on_host(slot.arrived);
    gpu().wait_on_gpu(slot.released, GpuStream::copy);
  }
  auto* pinned = static_cast<std::byte*>(slot.pinned);
  std::memcpy(pinned, bytes.data(), slot.bytes.bytes());
  std::memcpy(pinned + slot.bytes.bytes(), labels.data(), slot.labels.bytes());
  gpu().copy_bytes(pinned, slot.bytes.raw(), slot.bytes.bytes(), GpuStream::copy);
  gpu().copy_bytes(pinned + slot.bytes.bytes(), slot.labels.raw(), slot.labels.bytes(), GpuStream::copy);
  gpu().mark(slot.arrived, GpuStream::copy);
  slot.used = true;
}

void InputFeed::wait_for(int slot) const {
  gpu().wait_on_gpu(at(slot).arrived, GpuStream::compute);
}

void InputFeed::release(int slot) const {
  gpu().mark(at(slot).released, GpuStream::compute);
}

}  // namespace kindred
