// What the running block has under way: barriers, copies and products. Internal to copies.cpp and products.cpp.
//
// Who knows of what is counted for warps, because products are of whole warps. Each warp has a clock: for each warp of the
// block, up to which of its steps this one knows, and for each barrier, how many of its phases. Arriving at a barrier adds
// the warp's clock to the barrier's; waiting adds the barrier's to the warp's (Mattern 1989, "Virtual time and global states
// of distributed systems"). After a __syncthreads all know all.
#pragma once

#include <kindred/engine/cuda/emulation/hopper/hopper.h>

#include <array>
#include <memory>
#include <vector>

namespace kindred::cuda::emulated {

constexpr unsigned lanes = 32, most_warps = 32, most_barriers = 32;
constexpr std::size_t piece = 16;  // bytes that are watched together

struct Clock {
  std::array<std::uint32_t, most_warps> warps{};
  std::array<std::uint32_t, most_barriers> phases{};
  void join(const Clock& other);
};

struct BarrierState {
  const Barrier* at;
  int arrivals, missing;
  std::int64_t bytes = 0;  // expected and not yet copied
  std::uint32_t phase = 0;
  bool published = false;
  unsigned init_warp;
  std::uint32_t init_step;
  Clock arrived, ended;  // what the arrivals of this phase know, and those of all phases that have ended
};

struct LoadState {
  std::byte* to;
  TensorMap map;
  int row, column;
  unsigned barrier;
};

struct StoreState {
  TensorMap map;
  int row, column;
  const std::byte* from;
  const void* place;
  bool committed, done;
  std::vector<std::uint64_t> written;  // the records of its words when it was started
};

// A piece of shared memory.
struct Piece {
  bool under_way = false;
  int barrier = -1;                              // of the copy that wrote it; -1: threads wrote it
  std::uint32_t phase = 0;                       // that the copy was part of
  std::array<std::uint32_t, most_warps> read{};  // the last step of each warp that read it, from 1 on
};

// The sums of a lane while products add to them.
struct Sums {
  float* at;
  int uses;  // products that are not waited for
  std::vector<float> value;
};

struct Product {
  std::array<float*, lanes> d;
  std::array<const std::uint32_t*, lanes> a_registers;
  std::uint64_t a, b;
  int columns;
  bool add, a_in_registers, at_once, done = false;
  int commit = -1;
  const void* place;
};

struct WarpState {
  Clock clock;
  unsigned gathered = 0;  // lanes that have come to the operation
  bool fenced = false;
  int commits = 0;
  std::size_t started = 0;  // products, counted for the comparison with the warpgroup
  std::vector<Product> products;
  std::array<std::vector<Sums>, lanes> sums;
};

struct Block {
  std::uint64_t block, launch, barrier;  // View's, to notice a new block and a __syncthreads
  std::array<WarpState, most_warps> warps;
  std::vector<BarrierState> barriers;
  std::vector<LoadState> loads;
  std::array<std::vector<StoreState>, most_warps * lanes> stores;
  std::vector<Piece> pieces;
  std::array<std::uint64_t, most_warps * lanes> fenced{};  // the time of each thread's last async_fence()
  std::array<std::vector<std::uint64_t>, most_warps / 4> of_warpgroup;  // the factors of its products
};

// The running block; also notes a __syncthreads since the last call.
Block& running();
unsigned running_warp();
std::byte* shared_base();

// Checks that the running warp may read this piece as copies and products do, and notes that it does.
void read_piece(Block& block, const std::byte* at, const void* place);

// The last write to a word of shared memory.
std::uint64_t record_of(const std::byte* word);

// Returns true for the last lane of the warp that comes to an operation of all; the others then still wait in meet(), which
// all of them call with the same operation.
enum class Operation : std::uint8_t { fence, start, commit, wait, load };
bool gather(WarpState& warp);
void meet(Operation operation);

void note_progress();

// Throws an error if a product that was not waited for reads any of these bytes.
void check_unread(const Block& block, const std::byte* at, std::size_t bytes, const void* place);

// Where a matrix descriptor says that (row, column) of a tile lies.
std::byte* element_at(std::uint64_t descriptor, int row, int column);

}  // namespace kindred::cuda::emulated
