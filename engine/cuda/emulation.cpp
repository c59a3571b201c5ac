#include <kindred/engine/cuda/emulation.h>
#include <kindred/engine/error.h>

#include <ucontext.h>  // defines: makecontext, swapcontext

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace kindred::cuda::emulation {

Position position;

namespace {

constexpr std::size_t stack_bytes = std::size_t{64} << 10;
constexpr int lanes = 32;

// ---- changing stacks: fibers change places millions of times in a test

#ifdef __x86_64__
// Saves the registers that a call must preserve and the stack pointer, and goes on where `to` was saved.
extern "C" void kindred_switch_fiber(void** from, void* to);
asm(R"(
.text
.type kindred_switch_fiber, @function
kindred_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size kindred_switch_fiber, . - kindred_switch_fiber
)");

using Context = void*;  // a stack pointer

void prepare(Context& context, std::vector<char>& stack, void (*entry)()) {
  constexpr std::size_t registers = 6;
  auto top = reinterpret_cast<std::uintptr_t>(stack.data() + stack.size()) / 16 * 16 - 128;
  auto* words = reinterpret_cast<void**>(top);
  std::fill_n(words, registers, nullptr);
  words[registers] = reinterpret_cast<void*>(entry);  // where the first switch returns to
  context = words;
}

void change(Context& from, Context& to) {
  kindred_switch_fiber(&from, to);
}
#else
using Context = ucontext_t;

void prepare(Context& context, std::vector<char>& stack, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack.data();
  context.uc_stack.ss_size = stack.size();
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}

void change(Context& from, Context& to) {
  swapcontext(&from, &to);
}
#endif

struct Fiber {
  Context context;
  std::vector<char> stack = std::vector<char>(stack_bytes);
  dim3 thread;
  bool done = false;
};

// Where the fibers of a block, or of one warp, wait for each other.
struct Meeting {
  std::size_t expected = 0, waiting = 0;  // fibers that have not ended; those of them that wait
  std::uint64_t round = 0;

  void arrive();
  void leave() {
    --expected;
    release_if_complete();
  }
  void release_if_complete() {
    if (waiting < expected || waiting == 0) return;
    waiting = 0;
    ++round;
  }
};

// Of the block that runs now.
std::vector<Fiber> fibers;
Context scheduler;
std::size_t current;
Meeting block_meeting;
std::vector<Meeting> warp_meetings;
std::vector<std::uint64_t> slots;  // [thread], what each lane gives in an exchange
const std::function<void()>* body;
std::exception_ptr failure;
std::mutex one_grid;

void yield() {
  change(fibers[current].context, scheduler);
}

void enter() {
  try {
    (*body)();
  } catch (...) {
    if (!failure) failure = std::current_exception();
  }
  fibers[current].done = true;
  block_meeting.leave();
  warp_meetings[current / lanes].leave();
  yield();
}

void Meeting::arrive() {
  const std::uint64_t mine = round;
  ++waiting;
  release_if_complete();
  while (round == mine) yield();
}

void run_block(std::size_t threads) {
  block_meeting = {threads};
  warp_meetings.assign((threads + lanes - 1) / lanes, {});
  for (std::size_t i = 0; i < threads; ++i) ++warp_meetings[i / lanes].expected;
  for (std::size_t i = 0; i < threads; ++i) {
    Fiber& fiber = fibers[i];
    fiber.done = false;
    fiber.thread = dim3(static_cast<unsigned>(i));
    prepare(fiber.context, fiber.stack, enter);
  }
  for (bool running = true; running;) {
    running = false;
    for (current = 0; current < threads; ++current) {
      if (fibers[current].done) continue;
      running = true;
      position.thread = fibers[current].thread;
      change(scheduler, fibers[current].context);
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
  block_meeting.arrive();
}

std::uint64_t exchange(std::uint64_t value, int source) {
  const std::size_t first = current / lanes * lanes;
  Meeting& warp = warp_meetings[current / lanes];
  slots[current] = value;
  warp.arrive();
  const std::uint64_t result = slots[first + static_cast<std::size_t>(source)];
  warp.arrive();  // nobody writes before all have read
  return result;
}

}  // namespace kindred::cuda::emulation
