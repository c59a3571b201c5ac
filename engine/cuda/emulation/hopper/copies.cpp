// Barriers and copies. Accesses of this source are not recorded by themselves.
#define KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/draws.h>
#include <kindred/engine/cuda/emulation/hopper/hopper.h>
#include <kindred/engine/cuda/emulation/hopper/state.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#define KINDRED_PLACE __builtin_return_address(0)

namespace kindred::cuda {

using namespace emulation;

namespace emulated {

namespace {

constexpr std::size_t row_bytes = 128, word = Watched::word;

std::string text_of(const void* place) {
  return line_of(reinterpret_cast<std::uintptr_t>(place));
}

Cell& cell_of(const std::byte* at) {
  return shared_memory.words[(reinterpret_cast<std::uintptr_t>(at) - shared_memory.begin) / word];
}

// The mark of words that a copy wrote: older than everything that a thread of this block did after a __syncthreads.
std::uint64_t by_copy() {
  return view.block;
}

std::uint32_t& own_step(Block& block) {
  return block.warps[running_warp()].clock.warps[running_warp()];
}

// 16-byte pieces of eight rows change places: bits 4 to 6 of an address are those xor bits 7 to 9.
std::byte* swizzled(std::byte* at) {
  const std::uint32_t address = shared_address(at);
  return at + static_cast<std::ptrdiff_t>((address ^ (address >> 7 & 7) << 4)) -
         static_cast<std::ptrdiff_t>(address);
}

Piece& piece_at(Block& block, const std::byte* at) {
  return block.pieces[static_cast<std::size_t>(at - shared_base()) / piece];
}

void check_box(const TensorMap& map, const std::byte* at, const void* place) {
  const auto bytes = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(map.box_rows) * row_bytes);
  const std::ptrdiff_t offset = at - shared_base();
  if (offset < 0 || offset + bytes > static_cast<std::ptrdiff_t>(most_dynamic_shared))
    stop([=] { return fmt::format("a copy at {} is not of dynamic shared memory", text_of(place)); });
  if (shared_address(at) % row_bytes != 0)
    stop([=] {
      return fmt::format("misaligned address: a copy at {} uses shared memory {} above a multiple of {}",
                         text_of(place), shared_address(at) % row_bytes, row_bytes);
    });
}

BarrierState& state_of(Block& block, const Barrier* barrier, const void* place) {
  const auto found = std::find_if(block.barriers.begin(), block.barriers.end(),
                                  [&](const BarrierState& state) { return state.at == barrier; });
  if (found == block.barriers.end())
    stop([=] { return fmt::format("the barrier at {} was not set up (barrier_init)", text_of(place)); });
  const bool known = block.warps[running_warp()].clock.warps[found->init_warp] >= found->init_step;
  if (!found->published || !known)
    stop([=, published = found->published] {
      return fmt::format("the barrier at {} is used before {}", text_of(place),
                         published ? "a __syncthreads after it was set up" : "publish_barriers()");
    });
  return *found;
}

void maybe_end_phase(Block& block, BarrierState& barrier) {
  if (barrier.missing > 0 || barrier.bytes != 0) return;
  note_progress();
  barrier.ended.join(barrier.arrived);
  barrier.missing = barrier.arrivals;
  barrier.ended.phases[static_cast<std::size_t>(&barrier - block.barriers.data())] = ++barrier.phase;
}

void arrive(Block& block, BarrierState& barrier, std::int64_t bytes, const void* place) {
  if (barrier.missing == 0)
    stop([=] { return fmt::format("one arrival too many at the barrier of {}", text_of(place)); });
  Clock& clock = block.warps[running_warp()].clock;
  barrier.arrived.join(clock);
  ++own_step(block);
  barrier.bytes += bytes;
  --barrier.missing;
  maybe_end_phase(block, barrier);
}

// Calls body(in shared memory, in the matrix or null, bytes) for each 16-byte piece of a box.
template <typename Body>
void for_pieces(const TensorMap& map, int row, int column, std::byte* box, Body body) {
  for (std::int64_t r = 0; r < map.box_rows; ++r)
    for (std::size_t at = 0; at < row_bytes; at += piece) {
      const std::int64_t from_row = row + r, from_column = column + static_cast<std::int64_t>(at / 2);
      const bool inside = from_row >= 0 && from_row < map.rows && from_column >= 0 && from_column < map.columns;
      body(swizzled(box + static_cast<std::size_t>(r) * row_bytes + at),
           inside ? static_cast<const std::byte*>(map.address) + 2 * (from_row * map.columns + from_column)
                  : nullptr);
    }
}

// The box arrives.
void land(Block& block, std::size_t which) {
  const LoadState load = block.loads[which];
  block.loads.erase(block.loads.begin() + static_cast<std::ptrdiff_t>(which));
  BarrierState& barrier = block.barriers[load.barrier];
  for_pieces(load.map, load.row, load.column, load.to, [&](std::byte* to, const std::byte* from) {
    if (from != nullptr)
      std::memcpy(to, from, piece);
    else
      std::memset(to, 0, piece);
    for (std::size_t i = 0; i < piece; i += word) cell_of(to + i) = {by_copy(), 0, 0};
    Piece& own = piece_at(block, to);
    own.under_way = false;
    own.phase = barrier.phase + 1;
  });
  barrier.bytes -= load.map.box_rows * static_cast<std::int64_t>(row_bytes);
  note_progress();
  maybe_end_phase(block, barrier);
}

// Lets one of the copies that this barrier waits for arrive; returns false if there is none.
bool land_one(Block& block, unsigned barrier) {
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < block.loads.size(); ++i)
    if (block.loads[i].barrier == barrier) waiting.push_back(i);
  if (waiting.empty()) return false;
  land(block, waiting[draw(waiting.size())]);
  return true;
}

void write_store(StoreState& store, Block& block) {
  std::size_t at = 0;
  for_pieces(store.map, store.row, store.column, const_cast<std::byte*>(store.from),
             [&](std::byte* from, const std::byte* to) {
               for (std::size_t i = 0; i < piece; i += word, ++at)
                 if (record_of(from + i) != store.written[at])
                   stop([place = store.place] {
                     return fmt::format("shared memory was written while the copy of {} may still read it",
                                        text_of(place));
                   });
               read_piece(block, from, store.place);
               if (store.done || to == nullptr) return;
               note_access(reinterpret_cast<std::uintptr_t>(to), piece, Access::write, store.place);
               std::memcpy(const_cast<std::byte*>(to), from, piece);
             });
  store.done = true;
}

}  // namespace

void Clock::join(const Clock& other) {
  for (unsigned i = 0; i < most_warps; ++i) warps[i] = std::max(warps[i], other.warps[i]);
  for (unsigned i = 0; i < most_barriers; ++i) phases[i] = std::max(phases[i], other.phases[i]);
}

std::byte* shared_base() {
  return static_cast<std::byte*>(dynamic_shared_memory());
}

unsigned running_warp() {
  return running_thread() / lanes;
}

void note_progress() {
  view.patience = View::all_patience;
}

Block& running() {
  static std::unique_ptr<Block> block;
  if (block == nullptr || block->block != view.block || block->launch != view.launch) {
    block = std::make_unique<Block>();
    block->block = view.block;
    block->launch = view.launch;
    block->barrier = view.block;
    block->barriers.reserve(most_barriers);
    block->pieces.resize(most_dynamic_shared / piece);
    for (unsigned w = 0; w < most_warps; ++w) block->warps[w].clock.warps[w] = 1;
  }
  if (block->barrier != view.barrier) {
    block->barrier = view.barrier;
    Clock all;
    for (const WarpState& warp : block->warps) all.join(warp.clock);
    for (unsigned w = 0; w < most_warps; ++w) {
      block->warps[w].clock = all;
      ++block->warps[w].clock.warps[w];
    }
  }
  return *block;
}

std::uint64_t record_of(const std::byte* at) {
  const Cell& cell = cell_of(at);
  if (cell.write != Watched::in_bytes) return cell.write;
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(at) - shared_memory.begin;
  std::uint64_t newest = 0;
  for (std::size_t i = 0; i < word; ++i) newest = std::max(newest, shared_memory.single[offset + i].write);
  return newest;
}

void read_piece(Block& block, const std::byte* at, const void* place) {
  Piece& own = piece_at(block, at);
  if (own.under_way)
    stop([=, thread = running_thread()] {
      return fmt::format("thread {} reads at {} what a copy is still writing; no barrier_wait() stands between",
                         thread, text_of(place));
    });
  const bool copied = own.barrier >= 0 && record_of(at) == by_copy();
  if (copied && block.warps[running_warp()].clock.phases[static_cast<std::size_t>(own.barrier)] < own.phase)
    stop([=, thread = running_thread()] {
      return fmt::format(
          "thread {} reads at {} what a copy wrote, and its warp has not waited for that phase of the barrier",
          thread, text_of(place));
    });
  if (!copied) {
    note_access(reinterpret_cast<std::uintptr_t>(at), piece, Access::read, place);
    for (std::size_t i = 0; i < piece; i += word) {
      const std::uint64_t record = record_of(at + i);
      if (Record::time(record) < block.fenced[Record::thread(record)]) continue;
      stop([=, thread = running_thread()] {
        return fmt::format(
            "thread {} lets a copy or a product read at {} what thread {} stored at {} and did not follow by "
            "async_fence()",
            thread, text_of(place), Record::thread(record),
            line_of(program_image().begin + (record & Record::place_mask)));
      });
    }
  }
  own.read[running_warp()] = own_step(block);
}

}  // namespace emulated

using namespace emulated;

TensorMap tensor_map(const void* address, std::int64_t rows, std::int64_t columns, int box_rows) {
  check(reinterpret_cast<std::uintptr_t>(address) % 16 == 0 && columns % 8 == 0 && rows > 0 && columns > 0 &&
            box_rows > 0 && box_rows <= 256,
        ExitCode::internal, "a tensor map cannot have {} x {} elements in boxes of {} rows", rows, columns,
        box_rows);
  return {address, rows, columns, box_rows};
}

// Not a multiple of 1024, as where a kernel has other shared memory too.
std::uint32_t shared_address(const void* pointer) {
  const auto offset = static_cast<const std::byte*>(pointer) - shared_base();
  return static_cast<std::uint32_t>(1024 + 16 * (1 + seed() % 63)) + static_cast<std::uint32_t>(offset);
}

void barrier_init(Barrier* barrier, int arrivals) {
  Block& block = running();
  const void* const place = KINDRED_PLACE;
  const auto same = [&](const BarrierState& state) { return state.at == barrier; };
  if (block.barriers.size() == most_barriers || arrivals < 1 ||
      std::any_of(block.barriers.begin(), block.barriers.end(), same))
    stop([=] {
      return fmt::format("barrier_init at {}: set up twice, for {} arrivals, or more than {} barriers",
                         text_of(place), arrivals, most_barriers);
    });
  block.barriers.push_back({.at = barrier,
                            .arrivals = arrivals,
                            .missing = arrivals,
                            .init_warp = running_warp(),
                            .init_step = own_step(block),
                            .arrived = {},
                            .ended = {}});
}

void publish_barriers() {
  Block& block = running();
  for (BarrierState& barrier : block.barriers)
    if (barrier.init_warp == running_warp()) barrier.published = true;
}

void barrier_arrive(Barrier* barrier) {
  maybe_give_way();
  Block& block = running();
  arrive(block, state_of(block, barrier, KINDRED_PLACE), 0, KINDRED_PLACE);
}

void barrier_expect(Barrier* barrier, unsigned bytes) {
  maybe_give_way();
  Block& block = running();
  arrive(block, state_of(block, barrier, KINDRED_PLACE), bytes, KINDRED_PLACE);
}

void barrier_wait(Barrier* barrier, unsigned parity) {
  const void* const place = KINDRED_PLACE;
  for (;;) {
    maybe_give_way();
    Block& block = running();
    BarrierState& state = state_of(block, barrier, place);
    if (state.phase % 2 != parity) {
      block.warps[running_warp()].clock.join(state.ended);
      return;
    }
    if (draw(2) == 0 && land_one(block, static_cast<unsigned>(&state - block.barriers.data()))) continue;
    view.patience -= View::of_atomic;
    if (view.patience > 0) continue;
    stop([=, thread = running_thread(), missing = state.missing, bytes = state.bytes, phase = state.phase] {
      return fmt::format(
          "deadlock: thread {} waits at {} for a barrier in phase {}, at which {} arrivals and {} bytes "
          "are missing",
          thread, text_of(place), phase, missing, bytes);
    });
  }
}

void load_box(void* to, const TensorMap& map, int row, int column, Barrier* barrier) {
  const void* const place = KINDRED_PLACE;
  maybe_give_way();
  Block& block = running();
  auto* const box = static_cast<std::byte*>(to);
  const auto at = static_cast<unsigned>(&state_of(block, barrier, place) - block.barriers.data());
  check_box(map, box, place);
  check_unread(block, box, static_cast<std::size_t>(map.box_rows) * row_bytes, place);
  const Clock& clock = block.warps[running_warp()].clock;
  for_pieces(map, row, column, box, [&](std::byte* own_at, const std::byte* from) {
    Piece& own = piece_at(block, own_at);
    if (own.under_way)
      stop([=] { return fmt::format("the copy at {} meets another in shared memory", text_of(place)); });
    for (unsigned w = 0; w < most_warps; ++w)
      if (own.read[w] > clock.warps[w])
        stop([=, thread = running_thread()] {
          return fmt::format(
              "thread {} copies at {} over what warp {} read, and has not waited for a barrier at which that "
              "warp arrived "
              "since",
              thread, text_of(place), w);
        });
    if (from != nullptr) note_access(reinterpret_cast<std::uintptr_t>(from), piece, Access::read, place);
    // What threads stored there or read from there must be ordered before; what a copy wrote has been seen to above.
    if (record_of(own_at) != by_copy())
      note_access(reinterpret_cast<std::uintptr_t>(own_at), piece, Access::write, place);
    for (std::size_t i = 0; i < piece; i += word) cell_of(own_at + i) = {0, 0, 0};
    std::memset(own_at, 0xff, piece);  // NaN
    own = {.under_way = true, .barrier = static_cast<int>(at), .phase = 0, .read = {}};
  });
  block.loads.push_back({box, map, row, column, at});
  if (draw(4) == 0) land(block, block.loads.size() - 1);
}

void store_box(const TensorMap& map, int row, int column, const void* from) {
  const void* const place = KINDRED_PLACE;
  maybe_give_way();
  Block& block = running();
  auto* const box = static_cast<std::byte*>(const_cast<void*>(from));
  check_box(map, box, place);
  StoreState store{map, row, column, box, place, false, false, {}};
  for_pieces(map, row, column, box, [&](std::byte* at, const std::byte*) {
    read_piece(block, at, place);
    for (std::size_t i = 0; i < piece; i += word) store.written.push_back(record_of(at + i));
  });
  if (draw(2) == 0) write_store(store, block);
  block.stores[running_thread()].push_back(std::move(store));
}

void commit_stores() {
  for (StoreState& store : running().stores[running_thread()]) store.committed = true;
}

void wait_for_stores() {
  Block& block = running();
  std::vector<StoreState>& stores = block.stores[running_thread()];
  for (StoreState& store : stores)
    if (store.committed) write_store(store, block);
  std::erase_if(stores, [](const StoreState& store) { return store.committed; });
}

// Time goes on, so that what this thread stored before compares as older.
void async_fence() {
  Block& block = running();
  const std::uint64_t now = tick();
  block.fenced[running_thread()] = now;
  view.now = now << Record::time_shift | (view.now & Record::thread_mask);
}

void load_matrices(std::uint32_t (&a)[4], const void* row) {
  static const std::byte* rows[most_warps][lanes];
  const void* const place = KINDRED_PLACE;
  Block& block = running();
  const unsigned own_warp = running_warp(), lane = running_thread() % lanes;
  rows[own_warp][lane] = static_cast<const std::byte*>(row);
  if (shared_address(row) % piece != 0)
    stop([=] { return fmt::format("misaligned address: load_matrices at {}", text_of(place)); });
  read_piece(block, rows[own_warp][lane], place);
  meet(Operation::load);
  for (unsigned i = 0; i < 4; ++i) std::memcpy(&a[i], rows[own_warp][8 * i + lane / 4] + lane % 4 * 4, 4);
  meet(Operation::load);
}

}  // namespace kindred::cuda
