#include <kindred/engine/cuda/emulation.h>
#include <kindred/engine/error.h>

#include <ucontext.h>  // defines: makecontext, swapcontext

#include <exception>
#include <mutex>
#include <vector>

namespace kindred::cuda::emulation {

Position position;

namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10;
constexpr int lanes = 32;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(stack_bytes);
  dim3 thread;
  bool done = false;
  std::uint64_t barriers = 0, exchanges = 0;  // that it has reached
};

// Of the block that runs now.
std::vector<Fiber> fibers;
ucontext_t scheduler;
std::size_t current;
std::vector<std::uint64_t> slots;  // [thread], what each lane gives in an exchange
const std::function<void()>* body;
std::exception_ptr failure;
std::mutex one_grid;

void enter() {
  try {
    (*body)();
  } catch (...) {
    if (!failure) failure = std::current_exception();
  }
  fibers[current].done = true;
  swapcontext(&fibers[current].context, &scheduler);
}

void yield() {
  swapcontext(&fibers[current].context, &scheduler);
}

// Waits until every fiber of [first, last) that still runs has come as far by `count`.
void wait_for(std::size_t first, std::size_t last, std::uint64_t Fiber::*count) {
  const std::uint64_t mine = ++(fibers[current].*count);
  const auto behind = [&] {
    for (std::size_t i = first; i < last; ++i)
      if (!fibers[i].done && fibers[i].*count < mine) return true;
    return false;
  };
  while (behind()) yield();
}

void run_block(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    Fiber& fiber = fibers[i];
    fiber.done = false;
    fiber.barriers = fiber.exchanges = 0;
    fiber.thread = dim3(static_cast<unsigned>(i));
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
  }
  for (bool running = true; running;) {
    running = false;
    for (current = 0; current < threads; ++current) {
      if (fibers[current].done) continue;
      running = true;
      position.thread = fibers[current].thread;
      swapcontext(&scheduler, &fibers[current].context);
    }
  }
}

}  // namespace

void run(dim3 grid, int block, const std::function<void()>& kernel) {
  const std::lock_guard lock(one_grid);
  const auto threads = static_cast<std::size_t>(block);
  if (fibers.size() < threads) fibers.resize(threads);
  slots.resize(fibers.size());
  body = &kernel;
  failure = nullptr;
  position.grid = grid;
  position.block_size = dim3(static_cast<unsigned>(block));
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        position.block = dim3(x, y, z);
        run_block(threads);
      }
  if (failure) std::rethrow_exception(failure);
}

void block_barrier() {
  wait_for(0, position.block_size.x, &Fiber::barriers);
}

std::uint64_t exchange(std::uint64_t value, int source) {
  const std::size_t first = current / lanes * lanes;
  const std::size_t last = std::min<std::size_t>(first + lanes, position.block_size.x);
  slots[current] = value;
  wait_for(first, last, &Fiber::exchanges);
  const std::uint64_t result = slots[first + static_cast<std::size_t>(source)];
  wait_for(first, last, &Fiber::exchanges);  // nobody writes before all have read
  return result;
}

}  // namespace kindred::cuda::emulation
