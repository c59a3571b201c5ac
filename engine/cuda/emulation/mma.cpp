// The emulation's tensor cores. They are in a source of their own, whose accesses are not recorded: the values
// that lanes exchange here are not in the memory of a GPU.
#define KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/mma.h>
#include <kindred/engine/error.h>

namespace kindred::cuda::emulated {
namespace {

constexpr int most_steps = 2, most_products = 2;

// The parts of a[step] and b[step][n] that the lanes of a warp hold, stored here so that the others can read
// them.
struct WarpFactors {
  Factors big_a[most_steps][16], small_a[most_steps][16];                              // of each row
  Factors big_b[most_steps][most_products][8], small_b[most_steps][most_products][8];  // of each column
};
WarpFactors warps[emulation::most_block_threads / warp];

void meet() {
  emulation::meet_lanes(emulation::LaneOperation::multiply, all_lanes, 0, 0, -1);
}

}  // namespace

void multiply_add(float (*c)[4], const SplitFloats<4>* a, int steps, const SplitFloats<2>* b, int products) {
  check(steps <= most_steps && products <= most_products, ExitCode::internal,
        "the emulation multiplies {} x {} parts at a time, not {} x {}", most_steps, most_products, steps,
        products);
  WarpFactors& all = warps[threadIdx.x / warp];
  const int g = lane_group(), t = lane_in_group();
  for (int s = 0; s < steps; ++s) {
    for (int i = 0; i < 4; ++i) {
      all.big_a[s][g + i % 2 * 8].set(t + i / 2 * 4, a[s].big[i]);
      all.small_a[s][g + i % 2 * 8].set(t + i / 2 * 4, a[s].small[i]);
    }
    for (int n = 0; n < products; ++n)
      for (int i = 0; i < 2; ++i) {
        all.big_b[s][n][g].set(t + i * 4, b[s * products + n].big[i]);
        all.small_b[s][n][g].set(t + i * 4, b[s * products + n].small[i]);
      }
  }
  meet();
  for (int n = 0; n < products; ++n)
    for (int i = 0; i < 4; ++i) {
      const int row = g + i / 2 * 8, column = 2 * t + i % 2;
      float sum = c[n][i];
      for (int s = 0; s < steps; ++s) {
        sum = tensor_core_sum(sum, all.small_a[s][row], all.big_b[s][n][column]);
        sum = tensor_core_sum(sum, all.big_a[s][row], all.small_b[s][n][column]);
      }
      for (int s = 0; s < steps; ++s) sum = tensor_core_sum(sum, all.big_a[s][row], all.big_b[s][n][column]);
      c[n][i] = sum;
    }
  meet();
}

}  // namespace kindred::cuda::emulated
