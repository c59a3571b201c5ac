// The product with tiles that arrive by themselves: one thread asks the bulk copy engine for whole boxes, four stages
// ahead, and while they are under way the tensor cores multiply those that have come. Nobody computes an address of a copy,
// no number passes through a register, and the only waits are for tiles that are late. But the thread that asks also
// multiplies: between two products it waits for the slower of the two warpgroups.
#include <kindred/layers/conv2d/product/forms.h>
#include <kindred/layers/conv2d/product/ring.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 2 * group_threads;
constexpr int stages = most_stages;

template <int columns>
__global__ void __launch_bounds__(threads)
    asynchronous_kernel(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, BFloat16* y,
                        ProductSize size) {
  __shared__ Barrier full[stages], empty[stages];
  const Places places = Places::streaming();
  std::byte* const tiles = tiles_in_shared();
  const int thread = static_cast<int>(threadIdx.x), group = thread / group_threads;
  const int column_tiles = size.out / columns, chunks = size.in / tile_columns;
  const int row_tile = static_cast<int>(blockIdx.x) / column_tiles;
  const int first_column = static_cast<int>(blockIdx.x) % column_tiles * columns;
  init_ring(full, empty, stages, threads / warp);

  const auto ask = [&](const Ring& ring, int chunk) {
    load_stage<columns>(tiles, places, ring.stage, x, w, row_tile * tile_rows, first_column, chunk, true,
                        &full[ring.stage]);
  };
  Ring asked, used;
  if (thread == 0)
    for (int chunk = 0; chunk < stages && chunk < chunks; ++chunk, asked.step(stages)) ask(asked, chunk);
  float sums[columns / 2];
  for (int chunk = 0; chunk < chunks; ++chunk, used.step(stages)) {
    barrier_wait(&full[used.stage], used.parity);
    __syncwarp();  // a product needs whole warps, and lanes leave the loop of a wait one by one
    multiply_tiles<columns>(sums, places.x_tile(tiles, used.stage) + group * group_rows * tile_row_bytes,
                            places.w_tile<columns>(tiles, used.stage, chunk), chunk == 0);
    multiply_wait<0>();
    if (thread % warp == 0) barrier_arrive(&empty[used.stage]);
    if (thread == 0 && chunk + stages < chunks) {
      barrier_wait(&empty[used.stage], used.parity);
      ask(asked, chunk + stages);
      asked.step(stages);
    }
  }
  store_sums<columns>(sums, y, size, std::int64_t{row_tile} * tile_rows + group * group_rows, first_column);
}

}  // namespace

void asynchronous_product(const Tensor& x, const Tensor& w, Output y) {
  check_product(x, w, y);
  const ProductSize size{x.dim(0), static_cast<int>(x.dim(1)), static_cast<int>(w.dim(0))};
  with_columns(size.out, [&]<typename Columns>(Columns) {
    constexpr int columns = Columns::value, bytes = Places::streaming().bytes<columns>() + 1024;
    const TensorMap x_map = tensor_map(x.raw(), size.rows, size.in, tile_rows),
                    w_map = tensor_map(w.raw(), size.out, size.in, columns);
    raise_shared_limit(asynchronous_kernel<columns>, bytes);
    launch(asynchronous_kernel<columns>, blocks_for(tiles_of(size.rows, tile_rows) * (size.out / columns), 1),
           Block(threads, bytes), x_map, w_map, y.data<BFloat16>(), size);
  });
}

}  // namespace kindred::cuda
