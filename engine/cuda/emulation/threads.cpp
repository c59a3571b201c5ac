#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/fibers.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>
#include <sys/mman.h>  // defines: mmap, mprotect

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <vector>

namespace kindred::cuda::emulation {
namespace {

constexpr std::size_t stack_bytes = View::stack_bytes, page = 4096;
constexpr unsigned lanes = 32, most_threads = most_block_threads;

// ---- the running block

enum class State : std::uint8_t { ready, at_barrier, with_lanes, ended };

struct Fiber {
  Context context;
  State state;
  std::uintptr_t place;  // where in the program it waits
  std::uint64_t result;  // of the meeting of lanes
};

// Lanes of a warp that wait for the other lanes in their mask.
struct LaneMeeting {
  unsigned mask, arrived;
  LaneOperation operation;
  std::size_t bytes;
  std::array<std::uint64_t, lanes> values;
  std::array<int, lanes> sources;
};

struct Warp {
  unsigned live = 0;  // lanes that have not ended
  std::vector<LaneMeeting> meetings;
  std::uint64_t settled = 0;  // View::warp
  // What each lane knows of the others after meetings of only some lanes: the time before which their accesses
  // are ordered.
  bool some_met = false;
  std::array<std::array<std::uint32_t, lanes>, lanes> known;
};

std::array<Fiber, most_threads> fibers;
std::array<Warp, most_threads / lanes> warps;
std::byte* stacks = nullptr;
Context host;
unsigned current = 0;
std::vector<unsigned> ready;
std::size_t threads = 0, ended = 0, at_barrier = 0;
int barrier_line = 0;                          // the line at which threads wait
unsigned ended_last = 0;                       // a thread that has ended
std::uint64_t time_now = 0, barrier_time = 0;  // as the smallest record of that time
void (*body)(const void*);
const void* closure;
std::exception_ptr failure;
std::function<std::string()> stopped;

// From here on accesses belong to the current thread.
void look_as_current() {
  const Warp& warp = warps[current / lanes];
  view.now = time_now | std::uint64_t{current} << Record::place_bits;
  view.barrier = barrier_time;
  view.barrier_time = static_cast<std::uint32_t>(Record::time(barrier_time));
  view.warp = warp.settled;
  view.stack = reinterpret_cast<std::uintptr_t>(stacks) + current * stack_bytes;
  view.lanes = warp.some_met ? warp.known[current % lanes].data() : nullptr;
}

std::uint64_t next_time() {
  return time_now = tick() << Record::time_shift;
}

// ---- messages

std::string range_text(unsigned first, std::size_t count) {
  return count == 1 ? fmt::format("thread {} waits", first)
                    : fmt::format("{} threads, of which thread {} is one, wait", count, first);
}

// Says which threads wait and where.
std::string waiting_text() {
  std::vector<unsigned> firsts;
  std::vector<std::size_t> counts;
  for (unsigned i = 0; i < threads; ++i) {
    const Fiber& fiber = fibers[i];
    if (fiber.state == State::ended || fiber.state == State::ready) continue;
    const auto alike = std::find_if(firsts.begin(), firsts.end(), [&](unsigned other) {
      return fibers[other].state == fiber.state && fibers[other].place == fiber.place;
    });
    if (alike == firsts.end()) {
      firsts.push_back(i);
      counts.push_back(1);
    } else {
      ++counts[static_cast<std::size_t>(alike - firsts.begin())];
    }
  }
  std::string text;
  for (std::size_t i = 0; i < firsts.size() && i < 4; ++i) {
    const Fiber& fiber = fibers[firsts[i]];
    text += fmt::format("{}{} {} at {}", text.empty() ? "" : "; ", range_text(firsts[i], counts[i]),
                        fiber.state == State::at_barrier ? "for the block" : "for lanes of the warp",
                        line_of(fiber.place));
  }
  return text;
}

const char* name(LaneOperation operation) {
  switch (operation) {
    case LaneOperation::sync:
      return "__syncwarp";
    case LaneOperation::shuffle_xor:
      return "__shfl_xor_sync";
    case LaneOperation::shuffle:
      return "__shfl_sync";
    case LaneOperation::shuffle_down:
      return "__shfl_down_sync";
    case LaneOperation::ballot:
      return "__ballot_sync";
    case LaneOperation::multiply:
      break;
  }
  return "mma.sync";
}

// ---- taking turns

// Switches to a thread that may run. Returns when it is the caller's turn again.
void give_way() {
  if (ready.empty()) {
    if (ended == threads) {
      change(fibers[current].context, host);
      std::abort();  // a thread that has ended never runs again
    }
    stop([] {
      return fmt::format("deadlock: {}{}", waiting_text(),
                         ended > 0 ? fmt::format("; thread {} has ended", ended_last) : std::string());
    });
  }
  const std::size_t at = draw(ready.size());
  const unsigned next = ready[at];
  ready[at] = ready.back();
  ready.pop_back();
  if (next != current) {
    const unsigned own = current;
    current = next;
    change(fibers[own].context, fibers[next].context);
  }
  look_as_current();
}

void note_progress() {
  view.patience = View::all_patience;
}

void make_ready(unsigned thread) {
  fibers[thread].state = State::ready;
  ready.push_back(thread);
}

void order_memory(Warp& warp, unsigned mask) {
  const std::uint64_t now = next_time();
  if (mask == warp.live) {
    warp.settled = now;
    warp.some_met = false;
    return;
  }
  if (!warp.some_met)
    for (auto& of_lane : warp.known) of_lane.fill(0);
  warp.some_met = true;
  std::array<std::uint32_t, lanes> all = {};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    for (unsigned other = 0; other < lanes; ++other) all[other] = std::max(all[other], warp.known[lane][other]);
  }
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) all[lane] = static_cast<std::uint32_t>(Record::time(now));
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) warp.known[lane] = all;
}

// All lanes of the mask that have not ended have arrived.
void complete(Warp& warp, unsigned first, const LaneMeeting& meeting) {
  note_progress();
  std::uint64_t votes = 0;
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((meeting.arrived >> lane & 1) != 0 && meeting.values[lane] != 0) votes |= std::uint64_t{1} << lane;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((meeting.arrived >> lane & 1) == 0) continue;
    const auto source = static_cast<unsigned>(meeting.sources[lane]);
    if (source >= lanes || (meeting.arrived >> source & 1) == 0)
      stop([=, operation = meeting.operation] {
        return fmt::format("thread {} reads in {} at {} the value of lane {}, which takes no part in it",
                           first + lane, name(operation), line_of(fibers[first + lane].place), source);
      });
    fibers[first + lane].result = meeting.operation == LaneOperation::ballot ? votes : meeting.values[source];
    make_ready(first + lane);
  }
  if (meeting.operation == LaneOperation::sync) order_memory(warp, meeting.arrived);
}

void end_thread() {
  note_progress();
  fibers[current].state = State::ended;
  ++ended;
  ended_last = current;
  if (at_barrier > 0)
    stop([] {
      return fmt::format("divergent barrier: thread {} has ended, and {}", ended_last, waiting_text());
    });
  Warp& warp = warps[current / lanes];
  warp.live &= ~(1u << current % lanes);
  for (std::size_t i = 0; i < warp.meetings.size();) {
    if ((warp.meetings[i].mask & warp.live) != warp.meetings[i].arrived) {
      ++i;
      continue;
    }
    const LaneMeeting meeting = warp.meetings[i];
    warp.meetings.erase(warp.meetings.begin() + static_cast<std::ptrdiff_t>(i));
    complete(warp, current / lanes * lanes, meeting);
  }
}

void enter() {
  look_as_current();
  try {
    body(closure);
  } catch (...) {
    failure = std::current_exception();
    stop([] { return std::string(); });
  }
  end_thread();
  give_way();
}

void make_stacks() {
  constexpr std::size_t all = stack_bytes * most_threads;
  void* map = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(map != MAP_FAILED, ExitCode::device, "the emulated GPU's threads need {} MiB more memory", all >> 20);
  stacks = static_cast<std::byte*>(map);
  for (std::size_t i = 0; i < most_threads; ++i) mprotect(stacks + i * stack_bytes, page, PROT_NONE);
  watch_stacks(reinterpret_cast<std::uintptr_t>(stacks), most_threads);
}

}  // namespace

void maybe_give_way() {
  if (draw(4) > 0) return;
  make_ready(current);
  give_way();
}

unsigned running_thread() {
  return current;
}

void stop(std::function<std::string()> message) {
  check(in_kernel, ExitCode::internal, "{}", message());
  in_kernel = false;
  stopped = std::move(message);
  change(fibers[current].context, host);
  std::abort();  // a stopped thread never runs again
}

bool run_block(std::size_t count, void (*run_thread)(const void*), const void* with, std::string& message) {
  if (stacks == nullptr) make_stacks();
  threads = count;
  ended = at_barrier = 0;
  body = run_thread;
  closure = with;
  failure = nullptr;
  stopped = nullptr;
  time_now = barrier_time = view.block;
  ready.clear();
  for (unsigned i = 0; i < threads; ++i) {
    if (i % lanes == 0) {
      Warp& warp = warps[i / lanes];
      const std::size_t left = threads - i;
      warp.live = left >= lanes ? ~0u : (1u << left) - 1;
      warp.meetings.clear();
      warp.settled = view.block;
      warp.some_met = false;
    }
    // Offsets the stack frames, so that those of different threads do not fall into the same cache lines.
    std::byte* const stack = stacks + i * stack_bytes;
    prepare(fibers[i].context, stack + page, stack + stack_bytes - 256 - i % 64 * 320, enter);
    make_ready(i);
  }
  current = static_cast<unsigned>(draw(threads));
  std::swap(ready[current], ready.back());
  ready.pop_back();
  note_progress();
  in_kernel = true;
  change(host, fibers[current].context);
  in_kernel = false;
  if (failure) std::rethrow_exception(failure);
  if (!stopped) return true;
  message = stopped();
  return false;
}

void block_barrier(int line) {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  Fiber& own = fibers[current];
  own.place = place;
  own.state = State::at_barrier;
  if (ended > 0 || (at_barrier > 0 && line != barrier_line))
    stop([] {
      return fmt::format("divergent barrier: {}{}", waiting_text(),
                         ended > 0 ? fmt::format("; thread {} has ended", ended_last) : std::string());
    });
  barrier_line = line;
  if (++at_barrier == threads) {
    at_barrier = 0;
    note_progress();
    barrier_time = next_time();
    for (Warp& warp : warps) {
      warp.settled = barrier_time;
      warp.some_met = false;
    }
    for (unsigned i = 0; i < threads; ++i) make_ready(i);
  }
  give_way();
}

std::uint64_t meet_lanes(LaneOperation operation, unsigned mask, std::uint64_t value, std::size_t bytes,
                         int source) {
  const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  Warp& warp = warps[current / lanes];
  const unsigned lane = current % lanes, first = current - lane;
  Fiber& own = fibers[current];
  own.place = place;
  own.state = State::with_lanes;
  if ((mask >> lane & 1) == 0)
    stop([=, thread = current] {
      return fmt::format(
          "thread {}, lane {} of its warp, calls {} at {} with the mask {:#x}, which does not name it", thread,
          lane, name(operation), line_of(place), mask);
    });
  auto meeting = std::find_if(warp.meetings.begin(), warp.meetings.end(),
                              [mask](const LaneMeeting& open) { return open.mask == mask; });
  if (meeting == warp.meetings.end()) {
    warp.meetings.push_back({mask, 0, operation, bytes, {}, {}});
    meeting = std::prev(warp.meetings.end());
  } else if (meeting->operation != operation || meeting->bytes != bytes) {
    stop([=, thread = current, other = meeting->operation,
          waiting = first + static_cast<unsigned>(__builtin_ctz(meeting->arrived))] {
      return fmt::format(
          "lanes of a warp at different operations with one mask: thread {} waits at {} in {}, and thread "
          "{} comes to {} in {}",
          waiting, line_of(fibers[waiting].place), name(other), thread, line_of(place), name(operation));
    });
  }
  meeting->arrived |= 1u << lane;
  meeting->values[lane] = value;
  meeting->sources[lane] = source < 0 ? static_cast<int>(lane) : source;
  if ((mask & warp.live) == meeting->arrived) {
    const LaneMeeting whole = *meeting;
    warp.meetings.erase(meeting);
    complete(warp, first, whole);
  }
  give_way();
  return own.result;
}

}  // namespace kindred::cuda::emulation
