// Launches that only the machine code shows to be impossible; scripts/check_launches.py must find both.
#include <kindred/engine/cuda/launch.h>
#include <kindred/tests/emulation/planted.h>

namespace kindred::planted {

// Uses more registers than the 64 that each of 1,024 threads can have.
__global__ void many_registers(const std::int32_t* in, std::int32_t* out) {
  constexpr int count = 120;
  std::int32_t values[count];
#pragma unroll
  for (int i = 0; i < count; ++i) values[i] = in[(threadIdx.x + static_cast<unsigned>(i)) % 1024];
  for (int round = 0; round < 3; ++round)
#pragma unroll
    for (int i = 0; i < count; ++i)
      values[i] = values[i] * values[(i + 41) % count] + values[(i + 17) % count] % 7;
  std::int32_t sum = 0;
#pragma unroll
  for (int i = 0; i < count; ++i) sum ^= values[i];
  out[threadIdx.x] = sum;
}

__global__ void __launch_bounds__(64) narrow_bounds(std::int32_t* out) {
  out[threadIdx.x] = 1;
}

void start_impossible(const Tensor& in, const Tensor& out) {
  cuda::launch(many_registers, dim3(1), 1024, in.data<std::int32_t>(), out.data<std::int32_t>());
  cuda::launch(narrow_bounds, dim3(1), 128, out.data<std::int32_t>());
}

}  // namespace kindred::planted
