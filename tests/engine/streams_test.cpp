// Small programs that use streams and events of the emulated GPU: each is right, and then has one planted
// error, which must be found.
#include "drawn_orders.h"

#include <kindred/engine/memory.h>

#include <cmath>

namespace kindred {
namespace {

using namespace test;

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
  CHECK(fetch([&] {
          event.mark(compute);
          event.wait();
        }) == 0);
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
          never.wait();  // as in CUDA, it makes nobody wait
          return pinned.all(3);
        }) > seeds / 3);
}

TEST_CASE("streams on cuda: two streams need an event between them" * test::needs_emulation) {
  Pinned pinned;
  Event event;
  // The stream of copies sends what a kernel reads.
  const auto send = [&](bool before, bool after, bool wait) {
    const Tensor slot = on_gpu(), y = on_gpu();
    gpu().synchronize();
    pinned.set(5);
    if (before) event.mark(copy);
    pinned.send(slot, copy);
    if (after) event.mark(copy);
    if (wait) event.wait_on(compute);
    gpu().convert(slot, Output(y));
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
  // The stream of copies fetches what a kernel wrote.
  const auto fetch = [&](bool marked, bool wait) {
    const Tensor x = on_gpu(), y = on_gpu(6);
    gpu().synchronize();
    gpu().convert(y, Output(x));
    if (marked) event.mark(compute);
    if (wait) event.wait_on(copy);
    pinned.fetch(x, copy);
    event.mark(copy);
    event.wait();
    CHECK(pinned.all(6));
  };
  CHECK(error_in_every_order([&] { fetch(true, true); }) == fine);
  CHECK(error_in_every_order([&] { fetch(true, false); }).find("use the same memory") != std::string::npos);
  // Two readers need not wait for each other.
  CHECK(error_in_every_order([&] {
          const Tensor x = on_gpu(7), y = on_gpu();
          gpu().synchronize();
          gpu().convert(x, Output(y));
          pinned.fetch(x, copy);
          finish();
          CHECK(pinned.all(7));
        }) == fine);
}

TEST_CASE("streams on cuda: a buffer is used again too early" * test::needs_emulation) {
  Pinned pinned, others;
  Event sent, read;
  // The stream of copies overwrites memory that a kernel still reads.
  const auto again = [&](bool wait) {
    const Tensor slot = on_gpu(1), y = on_gpu();
    gpu().synchronize();
    gpu().convert(slot, Output(y));
    read.mark(compute);
    if (wait) read.wait_on(copy);
    pinned.set(2);
    pinned.send(slot, copy);
    finish();
    CHECK(all(y, 1));
  };
  CHECK(error_in_every_order([&] { again(true); }) == fine);
  CHECK(error_in_every_order([&] { again(false); }).find("use the same memory") != std::string::npos);
  // The memory of a freed tensor goes to another tensor, while a kernel of the old one may still run.
  CHECK(error_in_every_order([&] {
          const Tensor y = on_gpu();
          gpu().synchronize();
          gpu().convert(on_gpu(1), Output(y));
          pinned.send(Tensor::empty({count}, DType::f32, Device::cuda), copy);
        }).find("use the same memory") != std::string::npos);

  // The host overwrites memory before it was sent.
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
  // The host writes to memory before a result has arrived there.
  CHECK(failures([&] {
          pinned.fetch(slot, copy);
          pinned.set(2);
          error = error_of([] { finish(); });
          CHECK((error == fine || error.find("the host wrote to its destination before") != std::string::npos));
          return error == fine;
        }) > seeds / 3);
  // The memory is released too early.
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
    CHECK(error_of([&] { y.to_vector<float>(); }) == fine);  // the error is reported once
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
             "neither to a tensor nor to pinned"));
  CHECK(says([&] { gpu().fill(Output(Tensor::zeros({count}, DType::f32, Device::cpu)), 1); },
             "the host's, or was given back"));
  void* gone = on_gpu().raw();
  CHECK(says([&] { gpu().set_bytes(gone, 0, 400); }, "neither to a tensor nor to pinned"));
  Event event;
  event.mark(compute);
  CHECK(says([&] { gpu().milliseconds_between(event.event, Event().event); }, "has not passed"));
}

}  // namespace
}  // namespace kindred
