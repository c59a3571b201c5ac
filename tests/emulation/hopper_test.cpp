// What the emulation makes of Hopper's instructions: each kernel here is right or has one error, and runs under many seeds.
#include "../emulated_gpu.h"

#include <kindred/engine/cuda/emulation/hopper/hopper.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/tests/emulation/hopper_planted.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace kindred;

namespace {

constexpr std::uint64_t hopper_seeds = 12;
constexpr int side = 64;

struct HopperSeed {
  std::uint64_t before = cuda::emulation::seed();
  explicit HopperSeed(std::uint64_t value) {
    gpu().synchronize();
    cuda::emulation::set_seed(value);
  }
  ~HopperSeed() { cuda::emulation::set_seed(before); }
};

// Whole numbers from -8 to 8: their products and sums are exact.
std::vector<float> whole_numbers(unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> draw(-8, 8);
  std::vector<float> numbers(side * side);
  for (float& x : numbers) x = static_cast<float>(draw(generator));
  return numbers;
}

Tensor on_gpu(const std::vector<float>& numbers) {
  const Tensor host = Tensor::empty({side, side}, DType::f32, Device::cpu);
  std::copy(numbers.begin(), numbers.end(), host.data<float>());
  return host.to(Device::cuda, DType::bf16);
}

// The message of the error, "wrong result", or "".
std::string outcome(const planted::HopperKernel& kernel, unsigned seed) {
  const std::vector<float> a = whole_numbers(seed), b = whole_numbers(seed + 1);
  const Tensor gpu_a = on_gpu(a), gpu_b = on_gpu(b);
  const Tensor d =
      Tensor::full({side, side}, std::numeric_limits<double>::quiet_NaN(), DType::f32, Device::cuda);
  try {
    kernel.start(gpu_a, gpu_b, Output(d));
    gpu().synchronize();
  } catch (const Error& error) {
    const std::string message = error.what();
    try {
      gpu().synchronize();  // what was started behind it gets the same error
    } catch (const Error&) {
    }
    return message;
  }
  const std::vector<float> found = d.to(Device::cpu, DType::f32).to_vector<float>();
  for (std::size_t row = 0; row < side; ++row)
    for (std::size_t column = 0; column < side; ++column) {
      float sum = 0;
      for (std::size_t k = 0; k < side; ++k) sum += a[row * side + k] * b[column * side + k];
      if (found[row * side + column] != sum) return "wrong result";
    }
  return "";
}

}  // namespace

TEST_CASE("emulated Hopper: every planted error is found in every order" * test::needs_emulation) {
  for (std::uint64_t seed = 1; seed <= hopper_seeds; ++seed) {
    const HopperSeed set(seed);
    for (const planted::HopperKernel& kernel : planted::hopper_kernels()) {
      if (kernel.wrong) continue;  // below
      const std::string message = outcome(kernel, static_cast<unsigned>(seed));
      CAPTURE(kernel.name);
      CAPTURE(message);
      CHECK(message.empty() == kernel.message.empty());
      for (const std::string& part : kernel.message)
        CHECK_MESSAGE(message.find(part) != std::string::npos, part);
    }
  }
}

TEST_CASE("emulated Hopper: where the rules leave the moment open, a wrong result shows in some order" *
          test::needs_emulation) {
  for (const planted::HopperKernel& kernel : planted::hopper_kernels()) {
    if (!kernel.wrong) continue;
    int found = 0;
    for (std::uint64_t seed = 1; seed <= hopper_seeds; ++seed) {
      const HopperSeed set(seed);
      if (!outcome(kernel, static_cast<unsigned>(seed)).empty()) ++found;
    }
    CAPTURE(kernel.name);
    CHECK(found >= static_cast<int>(hopper_seeds) / 4);
  }
}

TEST_CASE("emulated Hopper: two numbers are rounded and packed, with a ReLU" * test::needs_emulation) {
  const auto halves = [](float low, float high) {
    const std::uint32_t both = cuda::pack_relu(low, high);
    BFloat16 a, b;
    a.bits = static_cast<std::uint16_t>(both);
    b.bits = static_cast<std::uint16_t>(both >> 16);
    return std::pair{static_cast<float>(a), static_cast<float>(b)};
  };
  CHECK(halves(1.5f, -2) == std::pair{1.5f, 0.0f});
  CHECK(halves(-0.0f, 3) == std::pair{0.0f, 3.0f});
  CHECK_FALSE(std::signbit(halves(-0.0f, 3).first));
  CHECK(halves(1 + std::ldexp(1.0f, -8), 1 + std::ldexp(3.0f, -8)) ==  // ties go to even
        std::pair{1.0f, 1 + std::ldexp(1.0f, -6)});
  CHECK(std::isnan(halves(std::numeric_limits<float>::quiet_NaN(), 0).first));
  CHECK(halves(std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity()).first ==
        std::numeric_limits<float>::infinity());
}
