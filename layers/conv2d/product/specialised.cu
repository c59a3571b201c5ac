// The product with a division of labour: one warp does nothing but ask for tiles, and two warpgroups do nothing but use
// them, each at its own pace, so that one multiplies while the other prepares. A block keeps its columns of y and
// goes through tile after tile of rows; the next tiles are on their way while the last sums are written. Its part of w
// stays in shared memory if there is room (up to 512 input channels), so that each tile costs only x.
//
// On the way in, the numbers of x pass through registers, where the tensor cores take them as well as from
// shared memory: there they are normalised. On the way out, y is rounded, its moments are added up (moments.h), and a
// bulk copy writes it.
#include <kindred/layers/conv2d/product/forms.h>
#include <kindred/layers/conv2d/product/moments.h>
#include <kindred/layers/conv2d/product/ring.h>

namespace kindred::cuda {
namespace {

constexpr int users = 2 * group_threads, threads = users + group_threads;
constexpr int user_warps = users / warp;
constexpr int multiprocessors = 132;  // of an H200; a block has one for itself
constexpr std::size_t most_shared = (std::size_t{227} << 10) - 2 * most_stages * sizeof(Barrier);  // of a block

// Shared memory after the tiles: y on its way out, the pivots of each warp, slope and shift of each input channel. In bytes.
template <int columns>
struct After {
  static constexpr int out = warp_rows * columns * 2;  // of a warp
  static constexpr int pivots_at = user_warps * out, input_at = pivots_at + user_warps * columns * 4;
};

// What the threads of a block share.
struct Work {
  RowParts division;
  Places places;
  int chunks, block, first_column;
  std::byte* tiles;
  Barrier *full, *empty;

  template <int columns>
  __device__ std::byte* after_tiles() const {
    return tiles + places.bytes<columns>();
  }
  template <int columns>
  __device__ float* slope() const {
    return reinterpret_cast<float*>(after_tiles<columns>() + After<columns>::input_at);
  }
};

struct InputNorm {
  const float *slope, *shift;
};

// Normalises a pair of neighbouring channels.
__device__ std::uint32_t normalised(std::uint32_t pair, const float* slope, const float* shift) {
  const auto a = *reinterpret_cast<const Pack<float, 2>*>(slope),
             b = *reinterpret_cast<const Pack<float, 2>*>(shift);
  return pack_relu(fmaf(low_of(pair), a.element[0], b.element[0]),
                   fmaf(high_of(pair), a.element[1], b.element[1]));
}

// The factors of a warp, 16 rows x 64 channels of a tile of x, in registers. `row` is its first row in the tile.
__device__ void read_normalised(std::uint32_t (&factors)[4][4], const std::byte* tile, int row,
                                const float* slope, const float* shift) {
  const int lane = static_cast<int>(threadIdx.x) % warp, matrix = lane / 8;
  const int own_row = row + lane % 8 + matrix % 2 * 8, channel = lane % 4 * 2;
#pragma unroll
  for (int step = 0; step < 4; ++step)
    load_matrices(factors[step], tile + tile_piece(own_row, 2 * step + matrix / 2));
#pragma unroll
  for (int step = 0; step < 4; ++step)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int at = 16 * step + channel + i / 2 * 8;
      factors[step][i] = normalised(factors[step][i], slope + at, shift + at);
    }
}

// The warp that asks. It needs few registers, so its warpgroup leaves them to the others.
template <int columns>
__device__ void ask_for_tiles(const Work& work, const TensorMap& x, const TensorMap& w) {
  Ring ring;
  for (int tile = work.block; tile < work.division.tiles; tile += work.division.blocks)
    for (int chunk = 0; chunk < work.chunks; ++chunk, ring.step(work.places.stages)) {
      barrier_wait(&work.empty[ring.stage], ring.parity ^ 1);  // returns at once in the first round
      load_stage<columns>(work.tiles, work.places, ring.stage, x, w, tile * tile_rows, work.first_column, chunk,
                          !work.places.w_stays || tile == work.block, &work.full[ring.stage]);
    }
}

// Rounds a warp's sums into its own place in shared memory, adds up their moments, and asks for a copy to y.
template <int columns, bool statistics>
__device__ void write_out(const float (&sums)[columns / 2], std::byte* out, const TensorMap& y,
                          std::int64_t row, std::int64_t rows, int first_column, bool is_first, float* pivots,
                          Moments<columns>& moments) {
  const int lane = static_cast<int>(threadIdx.x) % warp, own_row = lane / 4, own_column = lane % 4 * 2;
  if (statistics && is_first) {
    if (own_row == 0)
#pragma unroll
      for (int j = 0; j < columns / 8; ++j) {
        const std::uint32_t pair = pack_bf16(sums[4 * j], sums[4 * j + 1]);
        *reinterpret_cast<Pack<float, 2>*>(pivots + 8 * j + own_column) = {low_of(pair), high_of(pair)};
      }
    __syncwarp();
  }
  if (lane == 0) wait_for_stores();  // of the tile before
  __syncwarp();
#pragma unroll
  for (int j = 0; j < columns / 8; ++j) {
    // Boxes of 64 columns, one after another.
    std::byte* const box = out + j / 8 * (warp_rows * tile_row_bytes);
    Pack<float, 2> pivot{};
    if (statistics) pivot = *reinterpret_cast<const Pack<float, 2>*>(pivots + 8 * j + own_column);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t pair = pack_bf16(sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]);
      std::byte* const to = box + tile_piece(own_row + 8 * half, j % 8) + 2 * own_column;
      *reinterpret_cast<std::uint32_t*>(to) = pair;
      // Rows beyond the last one are not zero where x was normalised, so they must not count.
      if constexpr (statistics) moments.add(j, pair, pivot, row + own_row + 8 * half < rows);
    }
  }
  async_fence();
  __syncwarp();
  if (lane > 0) return;
#pragma unroll
  for (int box = 0; box < columns / 64; ++box)
    store_box(y, static_cast<int>(row), first_column + 64 * box, out + box * (warp_rows * tile_row_bytes));
  commit_stores();
}

// A warpgroup that multiplies.
template <int columns, bool normalise, bool statistics>
__device__ void use_tiles(const Work& work, const TensorMap& y, double* parts, int out) {
  const RowParts& division = work.division;
  const int own_warp = static_cast<int>(threadIdx.x) / warp;
  const int group_row = own_warp / 4 * group_rows, row = own_warp * warp_rows;  // in a tile
  std::byte* const after = work.after_tiles<columns>();
  std::byte* const own_out = after + own_warp * After<columns>::out;
  auto* const pivots = reinterpret_cast<float*>(after + After<columns>::pivots_at) + own_warp * columns;
  const float* const slope = work.slope<columns>();
  const float* const shift = slope + work.chunks * tile_columns;
  Moments<columns> moments;
  Ring ring;
  for (int tile = work.block; tile < division.tiles; tile += division.blocks) {
    float sums[columns / 2];
    for (int chunk = 0; chunk < work.chunks; ++chunk, ring.step(work.places.stages)) {
      const std::byte* const x_tile = work.places.x_tile(work.tiles, ring.stage);
      const std::byte* const w_tile = work.places.w_tile<columns>(work.tiles, ring.stage, chunk);
      barrier_wait(&work.full[ring.stage], ring.parity);
      __syncwarp();  // a product needs whole warps, and lanes leave the loop of a wait one by one
      std::uint32_t factors[4][4];
      if constexpr (normalise) {
        read_normalised(factors, x_tile, row, slope + chunk * tile_columns, shift + chunk * tile_columns);
        multiply_fence();
#pragma unroll
        for (int step = 0; step < 4; ++step)
          multiply<columns>(sums, factors[step], tile_descriptor(w_tile, step), chunk > 0 || step > 0);
        multiply_commit();
      } else {
        multiply_tiles<columns>(sums, x_tile + group_row * tile_row_bytes, w_tile, chunk == 0);
      }
      multiply_wait<0>();
      if (threadIdx.x % warp == 0) barrier_arrive(&work.empty[ring.stage]);
    }
    write_out<columns, statistics>(sums, own_out, y, std::int64_t{tile} * tile_rows + row, division.rows,
                                   work.first_column, tile == work.block, pivots, moments);
  }
  if (threadIdx.x % warp == 0) wait_for_stores();
  if constexpr (statistics) {
    const int part = work.block * warps_with_rows + own_warp;
    double* const mean = parts + 2 * std::int64_t{part} * out + work.first_column;
    moments.write(pivots, division.rows_of(part), mean, mean + out);
  }
}

template <int columns, bool normalise, bool statistics>
__global__ void __launch_bounds__(threads, 1)
    specialised_kernel(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w,
                       const __grid_constant__ TensorMap y, InputNorm norm, double* parts, RowParts division,
                       Places places, int in, int out) {
  __shared__ Barrier full[most_stages], empty[most_stages];
  const int thread = static_cast<int>(threadIdx.x), column_tiles = out / columns;
  const Work work{division,
                  places,
                  in / tile_columns,
                  static_cast<int>(blockIdx.x) / column_tiles,
                  static_cast<int>(blockIdx.x) % column_tiles * columns,
                  tiles_in_shared(),
                  full,
                  empty};
  if constexpr (normalise) {
    float* const slope = work.slope<columns>();
    for (int c = thread; c < in; c += threads) {
      slope[c] = norm.slope[c];
      slope[in + c] = norm.shift[c];
    }
  }
  init_ring(full, empty, places.stages, user_warps);
  if (thread >= users) {
    lower_registers<24>();
    if (thread == users) ask_for_tiles<columns>(work, x, w);
  } else {
    raise_registers<240>();
    use_tiles<columns, normalise, statistics>(work, y, parts, out);
  }
}

// Calls body with two truths as types.
template <typename Body>
void with_truths(bool first, bool second, Body&& body) {
  const auto inner = [&]<typename First>(First of_first) {
    second ? body(of_first, std::true_type{}) : body(of_first, std::false_type{});
  };
  first ? inner(std::true_type{}) : inner(std::false_type{});
}

}  // namespace

void specialised_product(const Tensor& x, const Tensor& w, const ProductInput& input, Output y,
                         const ProductStatistics& statistics) {
  check_product(x, w, y);
  const std::int64_t rows = x.dim(0);
  const int in = static_cast<int>(x.dim(1)), out = static_cast<int>(w.dim(0));
  with_columns(out, [&]<typename Columns>(Columns) {
    constexpr int columns = Columns::value;
    const int column_tiles = out / columns, tiles = static_cast<int>(tiles_of(rows, tile_rows));
    const RowParts division{rows, tiles, std::min(tiles, std::max(1, multiprocessors / column_tiles))};
    const TensorMap x_map = tensor_map(x.raw(), rows, in, tile_rows),
                    w_map = tensor_map(w.raw(), out, in, columns),
                    y_map = tensor_map(y.raw(), rows, out, warp_rows);
    const bool normalise = input.slope.defined(), gather = statistics.mean.defined();
    const Tensor parts =
        gather ? Tensor::empty({division.blocks * warps_with_rows, 2, out}, DType::f64, Device::cuda)
               : Tensor();
    with_truths(normalise, gather, [&]<typename Normalise, typename Gather>(Normalise, Gather) {
      const auto kernel = specialised_kernel<columns, Normalise::value, Gather::value>;
      const auto bytes_with = [&](const Places& tried) {
        return static_cast<std::size_t>(tried.bytes<columns>() + After<columns>::input_at +
                                        (Normalise::value ? 8 * in : 0) + 1024);
      };
      Places places = Places::staying(in / tile_columns);
      if (bytes_with(places) > most_shared) places = Places::streaming();
      const std::size_t bytes = bytes_with(places);
      raise_shared_limit(kernel, bytes);
      launch(kernel, dim3(static_cast<unsigned>(division.blocks * column_tiles)), Block(threads, bytes), x_map,
             w_map, y_map,
             InputNorm{normalise ? input.slope.data<float>() : nullptr,
                       normalise ? input.shift.data<float>() : nullptr},
             gather ? parts.data<double>() : nullptr, division, places, in, out);
    });
    if (gather) finish_moments(division, parts, Output(statistics.mean), Output(statistics.variance));
  });
}

}  // namespace kindred::cuda
