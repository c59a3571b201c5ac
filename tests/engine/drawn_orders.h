// Shared by the tests of streams and of recordings: pinned memory, events, and small programs that run in many
// drawn orders. A kernel is gpu().convert or gpu().fill.
#pragma once

#include "../emulated_gpu.h"
#include "../errors.h"

#include <kindred/engine/device_kernels.h>

#include <algorithm>
#include <functional>
#include <span>

namespace kindred::test {

inline constexpr std::int64_t count = 100;
inline constexpr GpuStream compute = GpuStream::compute, copy = GpuStream::copy;
inline constexpr std::uint64_t seeds = 100;
inline const std::string fine = "no error";  // error_of() without an error

struct Pinned {
  Pinned() : values(static_cast<float*>(gpu().acquire_pinned(count * sizeof(float))), count) {}
  ~Pinned() { gpu().release_pinned(values.data()); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  void set(float value) { std::fill(values.begin(), values.end(), value); }
  bool all(float value) const {
    return std::all_of(values.begin(), values.end(), [=](float v) { return v == value; });
  }
  void send(const Tensor& to, GpuStream stream) {
    gpu().copy_bytes(values.data(), to.raw(), to.bytes(), stream);
  }
  void fetch(const Tensor& from, GpuStream stream) {
    gpu().copy_bytes(from.raw(), values.data(), from.bytes(), stream);
  }

  std::span<float> values;
};

struct Event {
  Event() : event(gpu().make_event()) {}
  ~Event() { gpu().destroy_event(event); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void mark(GpuStream stream) { gpu().mark(event, stream); }
  void wait_on(GpuStream stream) { gpu().wait_on_gpu(event, stream); }
  void wait() { gpu().wait_on_host(event); }

  void* event;
};

inline Tensor on_gpu(float value = 0) {
  return Tensor::full({count}, value, DType::f32, Device::cuda);
}

inline bool all(const Tensor& tensor, float value) {
  const std::vector<float> values = tensor.to_vector<float>();
  return std::all_of(values.begin(), values.end(), [=](float v) { return v == value; });
}

inline void finish() {
  for (const GpuStream stream : {copy, GpuStream::communicate}) {
    Event last;
    last.mark(stream);
    last.wait();
  }
  gpu().synchronize();
}

// After an error: waiting for a stream reports it a last time.
inline void recover() {
  error_of([] { gpu().synchronize(); });
  finish();
}

// Returns in how many of the drawn orders `program` returns false or throws Error. The GPU can be used
// afterwards.
inline std::uint64_t failures(const std::function<bool()>& program) {
  std::uint64_t failed = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const DrawnOrder order(seed);
    bool is_right = false;
    try {
      is_right = program();
      finish();
    } catch (const Error&) {
      is_right = false;
    }
    failed += is_right ? 0 : 1;
    recover();
  }
  return failed;
}

// Returns the error that `program` ends with; it must be the same in every order.
inline std::string error_in_every_order(const std::function<void()>& program) {
  std::string first;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const DrawnOrder order(seed);
    const std::string error = error_of(program);
    recover();
    if (seed == 0) first = error;
    if (error != first) return "not the same in every order: " + first + " / " + error;
  }
  return first;
}

}  // namespace kindred::test
