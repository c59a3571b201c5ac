// The product by tiles: a block has 128 rows and 64 or 128 columns of y. Its threads bring 64 channels of x and of w into
// shared memory, two warpgroups multiply them on tensor cores, and so on. Each number of a tile is read from global memory
// once and used 128 times. But nobody copies while the tensor cores work, and they wait while a tile is brought.
#include <kindred/layers/conv2d/product/forms.h>
#include <kindred/layers/conv2d/product/tiles.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 2 * group_threads;
constexpr int pieces = tile_row_bytes / 16;  // of a row

// Copies rows x 64 channels into a tile; rows beyond the matrix become zeros.
template <int rows>
__device__ void bring(std::byte* tile, const BFloat16* from, std::int64_t first_row, std::int64_t last_row,
                      int channels, int first_channel) {
  using Piece = Pack<std::uint32_t, 4>;  // eight numbers
  Piece brought[rows * pieces / threads];
#pragma unroll
  for (int i = 0; i < rows * pieces / threads; ++i) {
    const int at = static_cast<int>(threadIdx.x) + i * threads, row = at / pieces, piece = at % pieces;
    brought[i] =
        first_row + row < last_row
            ? *reinterpret_cast<const Piece*>(from + (first_row + row) * channels + first_channel + 8 * piece)
            : Piece{};
  }
#pragma unroll
  for (int i = 0; i < rows * pieces / threads; ++i) {
    const int at = static_cast<int>(threadIdx.x) + i * threads;
    *reinterpret_cast<Piece*>(tile + tile_piece(at / pieces, at % pieces)) = brought[i];
  }
}

template <int columns>
__global__ void __launch_bounds__(threads)
    tiled_kernel(const BFloat16* __restrict__ x, const BFloat16* __restrict__ w, BFloat16* y,
                 ProductSize size) {
  std::byte* const x_tile = tiles_in_shared();
  std::byte* const w_tile = x_tile + x_tile_bytes;
  const int group = static_cast<int>(threadIdx.x) / group_threads, column_tiles = size.out / columns;
  const std::int64_t first_row = static_cast<int>(blockIdx.x) / column_tiles * std::int64_t{tile_rows};
  const int first_column = static_cast<int>(blockIdx.x) % column_tiles * columns;
  float sums[columns / 2];
  for (int channel = 0; channel < size.in; channel += tile_columns) {
    bring<tile_rows>(x_tile, x, first_row, size.rows, size.in, channel);
    bring<columns>(w_tile, w, first_column, size.out, size.in, channel);
    async_fence();
    __syncthreads();
    multiply_tiles<columns>(sums, x_tile + group * group_rows * tile_row_bytes, w_tile, channel == 0);
    multiply_wait<0>();
    __syncthreads();  // the next tile takes the place of this one
  }
  store_sums<columns>(sums, y, size, first_row + group * group_rows, first_column);
}

}  // namespace

void tiled_product(const Tensor& x, const Tensor& w, Output y) {
  check_product(x, w, y);
  const ProductSize size{x.dim(0), static_cast<int>(x.dim(1)), static_cast<int>(w.dim(0))};
  with_columns(size.out, [&]<typename Columns>(Columns) {
    constexpr int columns = Columns::value, bytes = x_tile_bytes + w_tile_bytes<columns> + 1024;
    const std::int64_t tiles = tiles_of(size.rows, tile_rows) * (size.out / columns);
    launch(tiled_kernel<columns>, blocks_for(tiles, 1), Block(threads, bytes), x.data<BFloat16>(),
           w.data<BFloat16>(), y.data<BFloat16>(), size);
  });
}

}  // namespace kindred::cuda
