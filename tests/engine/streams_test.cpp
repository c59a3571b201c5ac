// Small programs that use streams, events and recordings of the emulated GPU: each as it should be, and with
// one error planted, which must show. A kernel is gpu().convert or gpu().fill.
#include "../emulated_gpu.h"
#include "../errors.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/recording.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

namespace kindred {
namespace {

using test::DrawnOrder;
using test::error_of;

constexpr std::int64_t count = 100;
constexpr GpuStream compute = GpuStream::compute, copy = GpuStream::copy;
constexpr std::uint64_t seeds = 30;
const std::string fine = "no error";  // what error_of() says then

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

Tensor on_gpu(float value = 0) {
  return Tensor::full({count}, value, DType::f32, Device::cuda);
}

bool all(const Tensor& tensor, float value) {
  const std::vector<float> values = tensor.to_vector<float>();
  return std::all_of(values.begin(), values.end(), [=](float v) { return v == value; });
}

void finish() {
  Event copied;
  copied.mark(copy);
  copied.wait();
  gpu().synchronize();
}

// After an error: who waits for a stream is the last to be told.
void recover() {
  error_of([] { gpu().synchronize(); });
  finish();
}

// In how many of the drawn orders `program` returns false or throws Error; the GPU can be used afterwards.
std::uint64_t failures(const std::function<bool()>& program) {
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

// The error that `program` ends with, the same in every order, which must not depend on luck.
std::string error_in_every_order(const std::function<void()>& program) {
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

TEST_CASE("streams on cuda: work waits until something waits for it" * test::needs_emulation) {
  Pinned pinned;
  const Tensor x = on_gpu(3);
  std::uint64_t waiting = 0;
  const auto fetch = [&](const std::function<void()>& wait) {
    return failures([&] {
      pinned.set(0);
      pinned.fetch(x, compute);
      waiting += std::isnan(pinned.values[7]) ? 1 : 0;
      wait();
      return pinned.all(3);
    });
  };
  Event event;
  CHECK(fetch([] { gpu().synchronize(); }) == 0);
  CHECK(fetch([&] { event.mark(compute), event.wait(); }) == 0);
  CHECK(fetch([&] { x.to_vector<float>(); }) == 0);                                // a download
  CHECK(fetch([&] { Tensor::from(std::vector{1.0f}, {1}, Device::cuda); }) == 0);  // an upload
  CHECK(fetch([&] {
          const PoolScope scope(Device::cuda, new_memory_pool(Device::cuda));
          Tensor::empty({1}, DType::f32, Device::cuda);
        }) == 0);  // memory is released
  CHECK(waiting > seeds);
}

TEST_CASE("streams on cuda: what is read before it was waited for is poison" * test::needs_emulation) {
  Pinned pinned;
  Event event;
  const Tensor x = on_gpu(3);
  CHECK(failures([&] {
          pinned.fetch(x, compute);
          return pinned.all(3);  // planted: no wait
        }) > seeds / 3);
  CHECK(failures([&] {
          event.mark(compute);  // planted: before the copy
          pinned.fetch(x, compute);
          event.wait();
          return pinned.all(3);
        }) > seeds / 3);
  CHECK(failures([&] {
          Event never;
          pinned.fetch(x, compute);
          never.wait();  // as CUDA has it, it keeps no one waiting
          return pinned.all(3);
        }) > seeds / 3);
}

TEST_CASE("streams on cuda: two streams need an event between them" * test::needs_emulation) {
  Pinned pinned;
  Event event;
  // The copies' stream sends what a kernel reads.
  const auto send = [&](bool before, bool after, bool wait) {
    const Tensor slot = on_gpu(), y = on_gpu();
    gpu().synchronize();
    pinned.set(5);
    if (before) event.mark(copy);
    pinned.send(slot, copy);
    if (after) event.mark(copy);
    if (wait) event.wait_on(compute);
    gpu().convert(slot, y);
    CHECK(all(y, 5));
  };
  CHECK(error_in_every_order([&] { send(false, true, true); }) == fine);
  for (const std::string& error :
       {error_in_every_order([&] { send(false, true, false); }),    // the wait forgotten
        error_in_every_order([&] { send(true, false, true); })}) {  // marked too early
    CHECK(error.find("a copy of 400 bytes from the host to the GPU on the copies' stream") !=
          std::string::npos);
    CHECK(error.find("convert_kernel") != std::string::npos);
    CHECK(error.find("no event is waited for between them") != std::string::npos);
  }
  // And fetches what a kernel wrote.
  const auto fetch = [&](bool marked, bool wait) {
    const Tensor x = on_gpu(), y = on_gpu(6);
    gpu().synchronize();
    gpu().convert(y, x);
    if (marked) event.mark(compute);
    if (wait) event.wait_on(copy);
    pinned.fetch(x, copy);
    event.mark(copy);
    event.wait();
    CHECK(pinned.all(6));
  };
  CHECK(error_in_every_order([&] { fetch(true, true); }) == fine);
  CHECK(error_in_every_order([&] { fetch(true, false); }).find("use the same memory") != std::string::npos);
  // Two that read have nothing to wait for.
  CHECK(error_in_every_order([&] {
          const Tensor x = on_gpu(7), y = on_gpu();
          gpu().synchronize();
          gpu().convert(x, y);
          pinned.fetch(x, copy);
          finish();
          CHECK(pinned.all(7));
        }) == fine);
}

TEST_CASE("streams on cuda: a buffer is used again too early" * test::needs_emulation) {
  Pinned pinned, others;
  Event sent, read;
  // By the copies' stream, while a kernel still reads it.
  const auto again = [&](bool wait) {
    const Tensor slot = on_gpu(1), y = on_gpu();
    gpu().synchronize();
    gpu().convert(slot, y);
    read.mark(compute);
    if (wait) read.wait_on(copy);
    pinned.set(2);
    pinned.send(slot, copy);
    finish();
    CHECK(all(y, 1));
  };
  CHECK(error_in_every_order([&] { again(true); }) == fine);
  CHECK(error_in_every_order([&] { again(false); }).find("use the same memory") != std::string::npos);
  // The memory of a tensor that is gone goes to another one: a kernel of the old one may still run.
  CHECK(error_in_every_order([&] {
          const Tensor y = on_gpu();
          gpu().synchronize();
          gpu().convert(on_gpu(1), y);
          pinned.send(Tensor::empty({count}, DType::f32, Device::cuda), copy);
        }).find("use the same memory") != std::string::npos);

  // By the host, before it was sent.
  std::string error;
  const Tensor slot = on_gpu();
  gpu().synchronize();
  const auto overwrite = [&](bool wait) {
    return failures([&] {
      pinned.set(1);
      pinned.send(slot, copy);
      sent.mark(copy);
      if (wait) sent.wait();
      pinned.set(2);
      error = error_of([] { finish(); });
      return error == fine;
    });
  };
  CHECK(overwrite(true) == 0);
  CHECK(overwrite(false) > seeds / 3);
  // By the host, before what comes back was there.
  CHECK(failures([&] {
          pinned.fetch(slot, copy);
          pinned.set(2);
          error = error_of([] { finish(); });
          CHECK((error == fine || error.find("the host wrote to its destination before") != std::string::npos));
          return error == fine;
        }) > seeds / 3);
  // Given back too early.
  CHECK(failures([&] {
          {
            Pinned gone;
            gone.set(1);
            gone.send(slot, copy);
          }
          error = error_of([] { finish(); });
          CHECK((error == fine || error.find("its pinned memory was released before") != std::string::npos));
          return error == fine;
        }) > seeds / 3);
}

TEST_CASE("streams on cuda: an error of late work is thrown where it is waited for" * test::needs_emulation) {
  Pinned pinned;
  const Tensor x = on_gpu(), y = on_gpu();
  gpu().synchronize();
  std::uint64_t late = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const DrawnOrder order(seed);
    pinned.set(1);
    pinned.send(x, compute);
    pinned.set(2);
    const std::string error = error_of([&] { y.to_vector<float>(); });
    late += error.find("the host wrote to its source before it was done") != std::string::npos ? 1 : 0;
    CHECK(error_of([&] { y.to_vector<float>(); }) == fine);  // told once
    Tensor(y).fill(4);
    CHECK(all(y, 4));
  }
  CHECK(late > seeds / 3);
}

TEST_CASE("streams on cuda: only memory of the GPU can be used" * test::needs_emulation) {
  Pinned pinned;
  const Tensor x = on_gpu();
  std::vector<float> not_pinned(count);
  const auto says = [](const std::function<void()>& program, const char* text) {
    const std::string error = error_of(program);
    CAPTURE(error);
    return error.find(text) != std::string::npos;
  };
  CHECK(says([&] { gpu().copy_bytes(not_pinned.data(), x.raw(), 400, copy); }, "that is not pinned"));
  CHECK(says([&] { gpu().copy_bytes(pinned.values.data(), x.raw(), 4 * 4096, copy); },
             "no tensor's and no pinned"));
  CHECK(says([&] { gpu().fill(Tensor::zeros({count}, DType::f32, Device::cpu), 1); },
             "of the host, or given back"));
  void* gone = on_gpu().raw();
  CHECK(says([&] { gpu().set_bytes(gone, 0, 400); }, "no tensor's and no pinned"));
  Event event;
  event.mark(compute);
  CHECK(says([&] { gpu().milliseconds_between(event.event, Event().event); }, "has not passed"));
}

// ---- recordings

std::string recording_error(const std::function<void()>& body) {
  const auto pool = new_memory_pool(Device::cuda);
  return error_in_every_order([&] { Recording(pool, body).replay(); });
}

TEST_CASE("recordings on cuda: what cannot be part of one is an error with a name" * test::needs_emulation) {
  Pinned pinned;
  Event outside, event, other;
  const Tensor x = on_gpu(1), y = on_gpu();
  outside.mark(compute);
  const auto says = [](const std::function<void()>& body, const char* text) {
    const std::string error = recording_error(body);
    CAPTURE(error);
    return error.find(text) != std::string::npos;
  };
  CHECK(recording_error([&] {
          gpu().convert(x, y);
          event.mark(compute);
          event.wait_on(compute);
          pinned.fetch(y, compute);
        }) == fine);
  CHECK(says([&] { gpu().synchronize(); }, "the host waited for the GPU"));
  CHECK(says([&] { event.wait(); }, "the host waited for the GPU"));
  CHECK(says([&] { y.to_vector<float>(); }, "the host read or wrote"));
  CHECK(says([&] { Tensor::from(std::vector{1.0f}, {1}, Device::cuda); }, "the host read or wrote"));
  CHECK(says([&] { Pinned(); }, "pinned memory was acquired"));
  CHECK(says([&] { pinned.fetch(y, copy); }, "copies' stream"));
  CHECK(says([&] { event.mark(copy); }, "copies' stream"));
  CHECK(says([&] { outside.wait_on(copy); }, "copies' stream"));
  CHECK(says([&] { outside.wait_on(compute); }, "that was recorded outside of it"));
  CHECK(says([&] { const PoolScope scope(Device::cuda, new_memory_pool(Device::cuda)); },
             "another pool was asked for"));
  // A plan is timed.
  CHECK(says(
      [&] {
        event.mark(compute);
        gpu().convert(x, y);
        other.mark(compute);
        other.wait();
        gpu().milliseconds_between(event.event, other.event);
      },
      "the host waited for the GPU"));
  CHECK(says([&] { Recording(new_memory_pool(Device::cuda), [] {}); }, "within a recording"));
  // A slab of a pool that goes.
  auto pool = new_memory_pool(Device::cuda);
  Tensor held;
  {
    const PoolScope scope(Device::cuda, std::exchange(pool, nullptr));
    held = on_gpu();
  }
  CHECK(says([&] { held = {}; }, "memory of the GPU was released"));
  // An error that is caught spoils the recording all the same, as on a GPU.
  CHECK(says([&] { error_of([] { gpu().synchronize(); }); },
             "came to nothing: in it, the host waited for the GPU"));
  // What was marked within means nothing without.
  event.mark(compute);
  const Recording marks(new_memory_pool(Device::cuda), [&] { event.mark(compute); });
  CHECK(error_of([&] { event.wait(); }).find("last recorded within a recording") != std::string::npos);
  event.mark(compute);
  CHECK(error_of([&] { event.wait(); }) == fine);
}

TEST_CASE("recordings on cuda: memory that one uses must still be there when it is started again" *
          test::needs_emulation) {
  const Tensor y = on_gpu();
  // Starts a recording of `body` again after `meanwhile`.
  const auto says = [&](const std::function<void()>& body, const std::function<void()>& meanwhile,
                        const char* text) {
    const Recording recording(new_memory_pool(Device::cuda), body);
    recording.replay();
    meanwhile();
    const std::string error = error_of([&] { recording.replay(); });
    finish();
    CAPTURE(error);
    return *text == 0 ? error == fine : error.find(text) != std::string::npos;
  };
  Tensor x = on_gpu(1), held;
  const auto read_x = [&] { gpu().convert(x, y); };
  CHECK(says(
      read_x, [] {}, ""));
  CHECK(says(
      read_x, [&] { x = {}; }, "given back to its pool"));
  x = on_gpu(1);
  CHECK(says(
      read_x, [&] { x = {}, held = on_gpu(2); }, "handed out to somebody else"));
  {
    const PoolScope scope(Device::cuda, new_memory_pool(Device::cuda));
    x = on_gpu(1);
  }
  CHECK(says(
      read_x, [&] { x = {}; }, "was released"));
  auto pinned = std::make_unique<Pinned>();
  CHECK(says([&] { pinned->fetch(y, compute); }, [&] { finish(), pinned.reset(); }, "was released"));
}

TEST_CASE("recordings on cuda: nobody else is given the memory of a recording's pool" * test::needs_emulation) {
  const auto pool = new_memory_pool(Device::cuda);
  const Tensor x = on_gpu(1), y = on_gpu();
  const auto others = [&] {
    const PoolScope scope(Device::cuda, pool);
    on_gpu(9);
  };
  const auto body = [&] {
    const Tensor between = on_gpu(2);  // its address is given to the next one
    gpu().convert(between, y);
  };
  others();
  {
    const Recording first(pool, body), second(pool, body);
    CHECK(error_of(others).find("a pool that recordings own") != std::string::npos);
    const std::size_t reserved = pool->statistics().reserved;
    pool->trim();
    CHECK(pool->statistics().reserved == reserved);
    first.replay(), second.replay(), first.replay();
    CHECK(all(y, 2));
  }
  CHECK(error_of(others) == fine);
  CHECK(error_of([&] { Recording(pool, [&] { x.to_vector<float>(); }); }) != fine);
  CHECK(error_of(others) == fine);  // nothing came of it, and nothing is owned
}

}  // namespace
}  // namespace kindred
