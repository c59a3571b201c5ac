// Stages of shared memory that are used in turn: while one is multiplied, copies fill the others. Only .cu files include
// this header.
#pragma once

#include <kindred/layers/conv2d/product/tiles.h>

namespace kindred::cuda {

constexpr int most_stages = 4;

// Where tiles lie in shared memory: x of each stage, then w of each stage. Or, if w stays, w of each chunk of 64 input
// channels, which a block that goes through many rows brings only once.
struct Places {
  int stages, w_tiles;
  bool w_stays;

  static constexpr Places streaming() { return {most_stages, most_stages, false}; }
  // One stage less, because w of 512 channels takes 128 KB.
  static constexpr Places staying(int chunks) { return {most_stages - 1, chunks, true}; }

  template <int columns>
  KINDRED_HOST_DEVICE constexpr int bytes() const {
    return stages * x_tile_bytes + w_tiles * w_tile_bytes<columns>;
  }
  __device__ std::byte* x_tile(std::byte* tiles, int stage) const { return tiles + stage * x_tile_bytes; }
  template <int columns>
  __device__ std::byte* w_tile(std::byte* tiles, int stage, int chunk) const {
    return tiles + stages * x_tile_bytes + (w_stays ? chunk : stage) * w_tile_bytes<columns>;
  }
};

// A place in the ring. `parity` is that of the phases of the stage's barriers which this round ends.
struct Ring {
  int stage = 0;
  unsigned parity = 0;

  __device__ void step(int stages) {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

// full[s]: the copies of stage s have come. empty[s]: all `readers` have read it. All threads of the block call this.
__device__ inline void init_ring(Barrier* full, Barrier* empty, int stages, int readers) {
  if (threadIdx.x == 0) {
    for (int s = 0; s < stages; ++s) {
      barrier_init(&full[s], 1);
      barrier_init(&empty[s], readers);
    }
    publish_barriers();
  }
  __syncthreads();
}

// One thread asks for 64 channels of 128 rows of x and, unless they are there, of `columns` rows of w.
template <int columns>
__device__ void load_stage(std::byte* tiles, const Places& places, int stage, const TensorMap& x,
                           const TensorMap& w, int row, int column, int chunk, bool brings_w, Barrier* full) {
  barrier_expect(full, static_cast<unsigned>(x_tile_bytes + (brings_w ? w_tile_bytes<columns> : 0)));
  load_box(places.x_tile(tiles, stage), x, row, chunk * tile_columns, full);
  if (brings_w) load_box(places.w_tile<columns>(tiles, stage, chunk), w, column, chunk * tile_columns, full);
}

}  // namespace kindred::cuda
