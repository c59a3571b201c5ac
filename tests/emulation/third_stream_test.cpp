// The stream of sums over processes, beside the two others: order that is passed on from stream to stream, and recordings
// in which it is a branch. Each program is right, and then has one planted error.
#include "../engine/drawn_orders.h"

#include <kindred/engine/memory.h>
#include <kindred/engine/recording.h>

namespace kindred {
namespace {

using namespace test;

constexpr GpuStream communicate = GpuStream::communicate;

void copy_on(const Tensor& from, const Tensor& to, GpuStream stream) {
  gpu().copy_bytes(from.raw(), to.raw(), to.bytes(), stream);
}

bool has(const std::string& text, const char* part) {
  CAPTURE(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

TEST_CASE("streams on cuda: a stream that waits for another one waits for what that one has waited for" *
          test::needs_emulation) {
  Pinned pinned;
  Event computed, passed_on;
  const auto program = [&](bool passes) {
    const Tensor x = on_gpu(), y = on_gpu(6);
    gpu().synchronize();
    gpu().convert(y, Output(x));
    computed.mark(compute);
    if (passes) computed.wait_on(communicate);
    passed_on.mark(communicate);
    passed_on.wait_on(copy);
    pinned.fetch(x, copy);
    finish();
    CHECK(pinned.all(6));
  };
  CHECK(error_in_every_order([&] { program(true); }) == fine);
  const std::string error = error_in_every_order([&] { program(false); });
  has(error, "on the compute stream and a copy of 400 bytes");
  has(error, "on the copies' stream use the same memory");
}

TEST_CASE("streams on cuda: what one stream has waited for, another one has not" * test::needs_emulation) {
  Pinned pinned;
  Event computed, summed;
  const auto program = [&](bool waits) {
    const Tensor x = on_gpu(), y = on_gpu(6), z = on_gpu();
    gpu().synchronize();
    gpu().convert(y, Output(x));
    computed.mark(compute);
    computed.wait_on(copy);
    pinned.fetch(x, copy);
    if (waits) computed.wait_on(communicate);
    copy_on(x, z, communicate);
    summed.mark(communicate);
    summed.wait_on(compute);
    CHECK(all(z, 6));
    finish();
  };
  CHECK(error_in_every_order([&] { program(true); }) == fine);
  has(error_in_every_order([&] { program(false); }), "on the communication's stream use the same memory");
}

TEST_CASE("streams on cuda: three streams at once, in every order" * test::needs_emulation) {
  Pinned pinned;
  Event computed, summed, sent;
  CHECK(failures([&] {
          const Tensor x = on_gpu(1), sum = on_gpu(), slot = on_gpu(), y = on_gpu();
          gpu().synchronize();
          for (int step = 0; step < 5; ++step) {
            const auto value = static_cast<float>(step);
            sent.wait();  // the host writes again
            pinned.set(value);
            if (step > 0) computed.wait_on(copy);
            pinned.send(slot, copy);
            sent.mark(copy);
            Tensor(x).fill(10 + step);
            summed.mark(compute);
            summed.wait_on(communicate);
            copy_on(x, sum, communicate);
            sent.wait_on(compute);
            gpu().convert(slot, Output(y));
            computed.mark(compute);
            summed.mark(communicate);
            summed.wait_on(compute);
            if (!all(sum, 10 + value) || !all(y, value)) return false;
          }
          finish();
          return true;
        }) == 0);
}

TEST_CASE("recordings on cuda: a branch on the communication's stream" * test::needs_emulation) {
  Pinned pinned;
  Event outside, forked, joined;
  const Tensor x = on_gpu(1), y = on_gpu(), z = on_gpu();
  outside.mark(compute);
  // Replays a recording of x -> y on a branch, while z is filled, and y -> x at the end.
  const auto program = [&](bool forks, bool joins, bool is_late) {
    const auto pool = new_memory_pool(Device::cuda);
    return error_in_every_order([&] {
      const Recording recording(pool, [&] {
        if (forks) {
          forked.mark(compute);
          forked.wait_on(communicate);
        }
        copy_on(x, y, communicate);
        if (joins) joined.mark(communicate);
        gpu().fill(Output(z), 4);
        if (is_late) copy_on(x, y, communicate);
        if (joins) joined.wait_on(compute);
        gpu().convert(z, Output(x));
      });
      for (int replay = 0; replay < 3; ++replay) {
        Tensor(x).fill(7 + replay);
        Tensor(z).fill(0);
        recording.replay();
        CHECK(all(y, 7 + static_cast<float>(replay)));
        CHECK(all(x, 4));
      }
    });
  };
  CHECK(program(true, true, false) == fine);
  has(program(false, true, false), "on the communication's stream before it had waited for an event");
  // The branch is not waited for, or not all of it.
  has(program(true, false, false), "did not wait for the communication's stream at the end");
  has(program(true, true, true), "did not wait for the communication's stream at the end");

  const auto error = [&](const std::function<void()>& body) {
    const auto pool = new_memory_pool(Device::cuda);
    return error_in_every_order([&] { Recording(pool, body).replay(); });
  };
  has(error([&] { outside.wait_on(communicate); }), "that was recorded outside of it");
  has(error([&] {
        forked.mark(compute);
        forked.wait_on(communicate);  // and nothing else
      }),
      "did not wait for the communication's stream");
  // An event of an earlier recording.
  const Recording earlier(new_memory_pool(Device::cuda), [&] { forked.mark(compute); });
  has(error_of([&] { Recording(new_memory_pool(Device::cuda), [&] { forked.wait_on(communicate); }); }),
      "that was recorded outside of it");
  // The two branches use the same memory: a recording keeps what its events order, and nothing else.
  has(error([&] {
        forked.mark(compute);
        forked.wait_on(communicate);
        copy_on(x, y, communicate);
        gpu().convert(y, Output(z));  // planted: before the branch has joined
        joined.mark(communicate);
        joined.wait_on(compute);
      }),
      "use the same memory");
}

}  // namespace
}  // namespace kindred
