// Recordings of the emulated GPU: what cannot be part of a recording, and what must still exist when it is
// replayed.
#include "drawn_orders.h"

#include <kindred/engine/memory.h>
#include <kindred/engine/recording.h>

#include <memory>
#include <utility>

namespace kindred {
namespace {

using namespace test;

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
          gpu().convert(x, Output(y));
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
  // Timing a plan.
  CHECK(says(
      [&] {
        event.mark(compute);
        gpu().convert(x, Output(y));
        other.mark(compute);
        other.wait();
        gpu().milliseconds_between(event.event, other.event);
      },
      "the host waited for the GPU"));
  CHECK(says([&] { Recording(new_memory_pool(Device::cuda), [] {}); }, "within a recording"));
  // Releasing a slab of a pool.
  auto pool = new_memory_pool(Device::cuda);
  Tensor held;
  {
    const PoolScope scope(Device::cuda, std::exchange(pool, nullptr));
    held = on_gpu();
  }
  CHECK(says([&] { held = {}; }, "memory of the GPU was released"));
  // A caught error makes the recording invalid all the same, as on a GPU.
  CHECK(says([&] { error_of([] { gpu().synchronize(); }); },
             "came to nothing: in it, the host waited for the GPU"));
  // An event that was marked in the recording means nothing outside of it.
  event.mark(compute);
  const Recording marks(new_memory_pool(Device::cuda), [&] { event.mark(compute); });
  CHECK(error_of([&] { event.wait(); }).find("last recorded within a recording") != std::string::npos);
  event.mark(compute);
  CHECK(error_of([&] { event.wait(); }) == fine);
}

TEST_CASE("recordings on cuda: memory that one uses must still be there when it is started again" *
          test::needs_emulation) {
  const Tensor y = on_gpu();
  // Replays a recording of `body` after `meanwhile`.
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
  const auto read_x = [&] { gpu().convert(x, Output(y)); };
  CHECK(says(
      read_x, [] {}, ""));
  CHECK(says(
      read_x, [&] { x = {}; }, "given back to its pool"));
  x = on_gpu(1);
  CHECK(says(
      read_x,
      [&] {
        x = {};
        held = on_gpu(2);
      },
      "handed out to somebody else"));
  {
    const PoolScope scope(Device::cuda, new_memory_pool(Device::cuda));
    x = on_gpu(1);
  }
  CHECK(says(
      read_x, [&] { x = {}; }, "was released"));
  auto pinned = std::make_unique<Pinned>();
  CHECK(says([&] { pinned->fetch(y, compute); },
             [&] {
               finish();
               pinned.reset();
             },
             "was released"));
}

TEST_CASE("recordings on cuda: nobody else is given the memory of a recording's pool" * test::needs_emulation) {
  const auto pool = new_memory_pool(Device::cuda);
  const Tensor x = on_gpu(1), y = on_gpu();
  const auto others = [&] {
    const PoolScope scope(Device::cuda, pool);
    on_gpu(9);
  };
  const auto body = [&] {
    const Tensor between = on_gpu(2);  // the next tensor gets its address
    gpu().convert(between, Output(y));
  };
  others();
  {
    const Recording first(pool, body), second(pool, body);
    CHECK(error_of(others).find("a pool that recordings own") != std::string::npos);
    const std::size_t reserved = pool->statistics().reserved;
    pool->trim();
    CHECK(pool->statistics().reserved == reserved);
    first.replay();
    second.replay();
    first.replay();
    CHECK(all(y, 2));
  }
  CHECK(error_of(others) == fine);
  CHECK(error_of([&] { Recording(pool, [&] { x.to_vector<float>(); }); }) != fine);
  CHECK(error_of(others) == fine);  // nothing was recorded, and nothing is owned
}

}  // namespace
}  // namespace kindred
