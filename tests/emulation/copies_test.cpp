// The emulation's asynchronous copies bring what they should, and find every wait and barrier that is missing.
#include "../emulated_gpu.h"

#include <kindred/engine/cuda/emulation/draws.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/tests/emulation/planted_copies.h>

#include <doctest/doctest.h>

#include <numeric>

namespace kindred {
namespace {

// 0, 1, 2, ... of i32 [1024].
Tensor numbers() {
  std::vector<std::int32_t> values(1024);
  std::iota(values.begin(), values.end(), 0);
  return Tensor::from(values, {1024}, Device::cuda);
}

std::string copy_error(const planted::CopyKernel& kernel, const Tensor& memory) {
  try {
    kernel.start(memory);
    gpu().synchronize();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("emulated GPU: every error with an asynchronous copy is found, in every order" *
          test::needs_emulation) {
  const std::uint64_t before = cuda::emulation::seed();
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    gpu().synchronize();
    cuda::emulation::set_seed(seed);
    for (const planted::CopyKernel& kernel : planted::copy_kernels()) {
      const std::string message = copy_error(kernel, numbers());
      CAPTURE(kernel.name);
      CAPTURE(message);
      CHECK(message.empty() == kernel.message.empty());
      for (const std::string& part : kernel.message)
        CHECK_MESSAGE(message.find(part) != std::string::npos, part);
      CHECK(message.find('\n') == std::string::npos);
    }
  }
  gpu().synchronize();
  cuda::emulation::set_seed(before);
}

TEST_CASE("emulated GPU: asynchronous copies bring the numbers, and zeros where nothing is read" *
          test::needs_emulation) {
  const auto result_of = [](const std::string& name) {
    const Tensor memory = numbers();
    for (const planted::CopyKernel& kernel : planted::copy_kernels())
      if (kernel.name == name) REQUIRE(copy_error(kernel, memory) == "");
    return memory.to(Device::cpu, DType::i32).to_vector<std::int32_t>();
  };
  const std::vector<std::int32_t> whole = result_of("brings"), single = result_of("brings_single"),
                                  turns = result_of("brings_in_turns");
  for (int i = 0; i < 64; ++i) {
    const auto at = static_cast<std::size_t>(512 + i);
    CHECK(whole[at] == 4 * (63 - i));
    CHECK(single[at] == 4 * (63 - i) + 2);
    CHECK(turns[at] == 6 * 4 * (63 - i));
  }
}

}  // namespace
}  // namespace kindred
