#include <kindred/apps/training/input_feed.h>
#include <kindred/engine/error.h>

#include <cstring>

namespace kindred {

InputFeed::InputFeed(std::int64_t steps, std::int64_t bytes, std::int64_t labels, std::int64_t rates) {
  for (Slot& slot : slots_) {
    slot.bytes = Tensor::zeros({steps, bytes}, DType::u8, Device::cuda);
    slot.labels = Tensor::zeros({steps, labels}, DType::i32, Device::cuda);
    slot.rates = Tensor::zeros({steps, rates}, DType::f32, Device::cuda);
    slot.pinned = gpu().acquire_pinned(slot.bytes.bytes() + slot.labels.bytes() + slot.rates.bytes());
    slot.arrived = gpu().make_event();
    slot.released = gpu().make_event();
  }
  gpu().synchronize();  // the zeros must be there before the copy stream overwrites them
}

InputFeed::~InputFeed() {
  for (Slot& slot : slots_) {
    try {
      if (slot.used) gpu().wait_on_host(slot.arrived);
    } catch (const Error&) {  // of an earlier kernel; it was also thrown where it occurred
    }
    gpu().release_pinned(slot.pinned);
    gpu().destroy_event(slot.arrived);
    gpu().destroy_event(slot.released);
  }
}

void InputFeed::put(int index, std::int64_t step, std::span<const std::uint8_t> bytes,
                    std::span<const std::int32_t> labels, std::span<const float> rates) {
  const Slot& slot = at(index);
  if (step == 0 && slot.used) gpu().wait_on_host(slot.arrived);
  auto* area = static_cast<std::byte*>(slot.pinned);
  const auto put_in = [&](const Tensor& tensor, const auto& values) {
    check(static_cast<std::int64_t>(values.size()) == tensor.dim(1) && step < tensor.dim(0), ExitCode::internal,
          "{} values of step {} for a feed of {}", values.size(), step, tensor.shape().to_string());
    std::memcpy(area + static_cast<std::size_t>(step) * values.size_bytes(), values.data(),
                values.size_bytes());
    area += tensor.bytes();
  };
  put_in(slot.bytes, bytes);
  put_in(slot.labels, labels);
  put_in(slot.rates, rates);
}

void InputFeed::send(int index) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  if (slot.used) gpu().wait_on_gpu(slot.released, GpuStream::copy);
  const auto* area = static_cast<const std::byte*>(slot.pinned);
  for (const Tensor* tensor : {&slot.bytes, &slot.labels, &slot.rates}) {
    gpu().copy_bytes(area, Tensor(*tensor).raw(), tensor->bytes(), GpuStream::copy);
    area += tensor->bytes();
  }
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
