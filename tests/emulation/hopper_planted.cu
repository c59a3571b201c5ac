#include <kindred/engine/cuda/hopper.h>
#include <kindred/tests/emulation/hopper_planted.h>

namespace kindred::planted {
namespace {

using namespace cuda;

constexpr int side = 64, tile_bytes = side * tile_row_bytes;

// Each enum names the errors that one kernel can have: a line that is left out, or is wrong.
enum class Copied {
  well,
  no_publish,
  no_wait,
  wrong_parity,
  too_few_bytes,
  too_many_bytes,
  no_fence_of_products,
  no_wait_for_products,
  read_too_early,
  no_commit,
  changed_factors,
  early_release,
  no_release,
  forgotten_wait_of_the_next,
};

// The lane's place in a product: row g of its warp, and t (engine/cuda/hopper.h).
struct Place {
  int row, column;
};
__device__ Place own_place() {
  const int thread = static_cast<int>(threadIdx.x);
  return {thread / warp * 16 + thread % warp / 4, thread % 4 * 2};
}

__device__ void write_sums(const float (&sums)[side / 2], float* d) {
  const Place place = own_place();
  for (int i = 0; i < side / 2; ++i)
    d[(place.row + i / 2 % 2 * 8) * side + i / 4 * 8 + place.column + i % 2] = sums[i];
}

// Copies bring a and b, four products add them up. Then, `again`, the same place is filled and multiplied a second time, and
// the mean of both is the result.
template <Copied how>
__global__ void copied(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* d) {
  __shared__ Barrier full, empty;
  std::byte* const tile = tiles_in_shared();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    barrier_init(&full, 1);
    barrier_init(&empty, 4);
    if (how != Copied::no_publish) publish_barriers();
  }
  __syncthreads();
  float sums[side / 2];
  for (unsigned round = 0; round < 2; ++round) {
    if (thread == 0) {
      if (round > 0 && how != Copied::forgotten_wait_of_the_next) barrier_wait(&empty, 0);
      const int bytes = 2 * tile_bytes + (how == Copied::too_few_bytes    ? -tile_bytes
                                          : how == Copied::too_many_bytes ? 16
                                                                          : 0);
      barrier_expect(&full, static_cast<unsigned>(bytes));
      load_box(tile, a, 0, 0, &full);
      load_box(tile + tile_bytes, b, 0, 0, &full);
    }
    __syncwarp();
    if (how == Copied::wrong_parity)
      barrier_wait(&full, 1 - round);
    else if (how != Copied::no_wait)
      barrier_wait(&full, round);
    if (how == Copied::early_release && thread % warp == 0) barrier_arrive(&empty);
    if (how != Copied::no_fence_of_products) multiply_fence();
    for (int step = 0; step < 4; ++step)
      multiply<side>(sums, tile_descriptor(tile, step), tile_descriptor(tile + tile_bytes, step),
                     round > 0 || step > 0);
    if (how != Copied::no_commit) multiply_commit();
    if (how == Copied::read_too_early) sums[0] += 1;
    if (how != Copied::no_wait_for_products) multiply_wait<0>();
    const bool releases = how != Copied::early_release && how != Copied::no_release;
    if (releases && thread % warp == 0) barrier_arrive(&empty);
  }
  for (float& sum : sums) sum *= 0.5f;
  write_sums(sums, d);
}

// Threads bring a and b themselves.
enum class Stored { well, unfenced, fenced_before, no_barrier, reused_too_early, not_swizzled };
template <Stored how>
__global__ void stored(const BFloat16* a, const BFloat16* b, float* d) {
  std::byte* const tile = tiles_in_shared();
  const int thread = static_cast<int>(threadIdx.x);
  using Piece = Pack<BFloat16, 8>;
  const auto store_all = [&] {
    for (int at = thread; at < side * 8; at += 128) {
      const int row = at / 8, piece = at % 8;
      const int to = how == Stored::not_swizzled ? row * tile_row_bytes + 16 * piece : tile_piece(row, piece);
      *reinterpret_cast<Piece*>(tile + to) = *reinterpret_cast<const Piece*>(a + row * side + 8 * piece);
      *reinterpret_cast<Piece*>(tile + tile_bytes + to) =
          *reinterpret_cast<const Piece*>(b + row * side + 8 * piece);
    }
  };
  if (how == Stored::fenced_before) async_fence();
  store_all();
  if (how != Stored::unfenced && how != Stored::fenced_before) async_fence();
  if (how != Stored::no_barrier) __syncthreads();
  float sums[side / 2];
  multiply_fence();
  for (int step = 0; step < 4; ++step)
    multiply<side>(sums, tile_descriptor(tile, step), tile_descriptor(tile + tile_bytes, step), step > 0);
  multiply_commit();
  if (how == Stored::reused_too_early) {
    __syncthreads();
    store_all();
  }
  multiply_wait<0>();
  write_sums(sums, d);
}

// a comes through registers.
enum class Registers { well, changed, no_wait, wrong_piece };
template <Registers how>
__global__ void in_registers(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                             float* d) {
  __shared__ Barrier full;
  std::byte* const tile = tiles_in_shared();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % warp;
  if (thread == 0) {
    barrier_init(&full, 1);
    publish_barriers();
    barrier_expect(&full, 2 * tile_bytes);
    load_box(tile, a, 0, 0, &full);
    load_box(tile + tile_bytes, b, 0, 0, &full);
  }
  __syncthreads();
  if (how != Registers::no_wait) barrier_wait(&full, 0);
  std::uint32_t factors[4][4];
  for (int step = 0; step < 4; ++step) {
    const int row = thread / warp * 16 + lane % 8 + lane / 8 % 2 * 8;
    const int piece = 2 * step + (how == Registers::wrong_piece ? 1 - lane / 16 : lane / 16);
    load_matrices(factors[step], tile + tile_piece(row, piece));
  }
  float sums[side / 2];
  multiply_fence();
  for (int step = 0; step < 4; ++step)
    multiply<side>(sums, factors[step], tile_descriptor(tile + tile_bytes, step), step > 0);
  multiply_commit();
  if (how == Registers::changed)
    for (auto& of_step : factors)
      for (std::uint32_t& pair : of_step) pair = 0x7fc07fc0;
  multiply_wait<0>();
  if (how == Registers::changed)
    for (const auto& of_step : factors)
      sums[0] += of_step[0] == 0 ? 1.0f : 0.0f;  // or the compiler drops the change
  write_sums(sums, d);
}

// A copy writes the result, from where the threads have put it: 64 rows of 64 bf16 numbers, twice.
enum class Written { well, unfenced, changed, no_wait };
template <Written how>
__global__ void written(const __grid_constant__ TensorMap to, const BFloat16* a) {
  std::byte* const tile = tiles_in_shared();
  const int thread = static_cast<int>(threadIdx.x);
  for (int at = thread; at < side * 8; at += 128)
    *reinterpret_cast<Pack<BFloat16, 8>*>(tile + tile_piece(at / 8, at % 8)) =
        *reinterpret_cast<const Pack<BFloat16, 8>*>(a + 8 * at);
  if (how != Written::unfenced) async_fence();
  __syncthreads();
  if (thread == 0) {
    store_box(to, 0, 0, tile);
    commit_stores();
    if (how == Written::changed) *reinterpret_cast<std::uint32_t*>(tile + 64) = 0;
    if (how != Written::no_wait) wait_for_stores();
  }
}

template <typename... Parameters, typename... Arguments>
void start(void (*kernel)(Parameters...), const Arguments&... arguments) {
  launch(kernel, dim3(1), Block(128, 2 * tile_bytes + 1024), arguments...);
}

template <Copied how>
void start_copied(const Tensor& a, const Tensor& b, Output d) {
  start(copied<how>, tensor_map(a.raw(), side, side, side), tensor_map(b.raw(), side, side, side),
        d.data<float>());
}
template <Stored how>
void start_stored(const Tensor& a, const Tensor& b, Output d) {
  start(stored<how>, a.data<BFloat16>(), b.data<BFloat16>(), d.data<float>());
}
template <Registers how>
void start_in_registers(const Tensor& a, const Tensor& b, Output d) {
  start(in_registers<how>, tensor_map(a.raw(), side, side, side), tensor_map(b.raw(), side, side, side),
        d.data<float>());
}
// Writes a into a tensor of its own, which a product by threads then reads.
template <Written how>
void start_written(const Tensor& a, const Tensor& b, Output d) {
  const Tensor copy = Tensor::full({side, side}, 99, DType::bf16, Device::cuda);
  start(written<how>, tensor_map(copy.raw(), side, side, side), a.data<BFloat16>());
  start_stored<Stored::well>(copy, b, d);
}

}  // namespace

const std::vector<HopperKernel>& hopper_kernels() {
  static const std::vector<HopperKernel> all = {
      {"copied", start_copied<Copied::well>, {}},
      {"copied without publish_barriers", start_copied<Copied::no_publish>, {"before publish_barriers()"}},
      {"copied without a wait", start_copied<Copied::no_wait>, {"reads at", "hopper_planted.cu"}},
      {"copied with the wrong parity", start_copied<Copied::wrong_parity>, {"hopper_planted.cu"}},
      {"copied, too few bytes", start_copied<Copied::too_few_bytes>, {"hopper_planted.cu"}},
      {"copied, too many bytes", start_copied<Copied::too_many_bytes>, {"deadlock", "16 bytes are missing"}},
      {"copied without multiply_fence",
       start_copied<Copied::no_fence_of_products>,
       {"without multiply_fence()"}},
      {"copied without multiply_wait", start_copied<Copied::no_wait_for_products>, {}, true},
      {"copied, sums changed too early", start_copied<Copied::read_too_early>, {"has changed sums"}},
      {"copied without multiply_commit", start_copied<Copied::no_commit>, {}, true},
      {"copied, released too early", start_copied<Copied::early_release>, {"hopper_planted.cu"}},
      {"copied, never released", start_copied<Copied::no_release>, {"deadlock", "arrivals"}},
      {"copied over what is in use", start_copied<Copied::forgotten_wait_of_the_next>, {"hopper_planted.cu"}},
      {"stored", start_stored<Stored::well>, {}},
      {"stored without async_fence", start_stored<Stored::unfenced>, {"did not follow by async_fence()"}},
      {"stored after async_fence", start_stored<Stored::fenced_before>, {"did not follow by async_fence()"}},
      {"stored without a barrier", start_stored<Stored::no_barrier>, {"shared memory"}},
      {"stored again too early", start_stored<Stored::reused_too_early>, {"hopper_planted.cu"}},
      {"stored in plain order", start_stored<Stored::not_swizzled>, {}, true},
      {"in registers", start_in_registers<Registers::well>, {}},
      {"in registers that change", start_in_registers<Registers::changed>, {}, true},
      {"in registers without a wait", start_in_registers<Registers::no_wait>, {"reads at"}},
      {"in registers of the wrong columns", start_in_registers<Registers::wrong_piece>, {}, true},
      {"written", start_written<Written::well>, {}},
      {"written without async_fence", start_written<Written::unfenced>, {"did not follow by async_fence()"}},
      {"written and changed", start_written<Written::changed>, {"may still read it"}},
      {"written without a wait", start_written<Written::no_wait>, {}, true},
  };
  return all;
}

}  // namespace kindred::planted
