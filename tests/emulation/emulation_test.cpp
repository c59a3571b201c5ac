// The emulation of CUDA finds what hardware forbids: each kernel here has one error and runs under many seeds.
#include "../emulated_gpu.h"

#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/cuda/emulation/uses.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/tests/emulation/planted.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace kindred;

namespace {

constexpr std::uint64_t seeds = 20;

// Sets the seed while it lives.
struct Seed {
  std::uint64_t before = cuda::emulation::seed();
  explicit Seed(std::uint64_t value) {
    gpu().synchronize();  // otherwise work that was started before counts among the next launches
    cuda::emulation::set_seed(value);
  }
  ~Seed() { cuda::emulation::set_seed(before); }
};

Tensor zeros() {
  return Tensor::zeros({1024}, DType::i32, Device::cuda);
}

// The message of the error; empty if there is none.
std::string error_of(const planted::Kernel& kernel, const Tensor& memory) {
  try {
    kernel.start(memory);
    gpu().synchronize();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::vector<std::int32_t> result_of(const std::string& name, const Tensor& memory) {
  for (const planted::Kernel& kernel : planted::kernels())
    if (kernel.name == name && kernel.message.empty()) {
      REQUIRE(error_of(kernel, memory) == "");
      const Tensor host = memory.to(Device::cpu, DType::i32);
      return {host.data<std::int32_t>(), host.data<std::int32_t>() + host.numel()};
    }
  FAIL("no such kernel: ", name);
  return {};
}

}  // namespace

TEST_CASE("emulated GPU: every planted error is found, and named, in every order" * test::needs_emulation) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Seed set(seed);
    for (const planted::Kernel& kernel : planted::kernels()) {
      const std::string message = error_of(kernel, zeros());
      CAPTURE(kernel.name);
      CAPTURE(message);
      CHECK(message.empty() == kernel.message.empty());
      if (kernel.message.empty()) continue;
      CHECK(message.find("kernel " + kernel.name) != std::string::npos);
      for (const std::string& part : kernel.message)
        CHECK_MESSAGE(message.find(part) != std::string::npos, part);
      CHECK(message.find('\n') == std::string::npos);
      // Errors that are found while threads run can be repeated.
      const bool of_launch = message.find("cannot be started") != std::string::npos;
      CHECK((message.find("KINDRED_EMULATION_SEED=" + std::to_string(seed) + " ") != std::string::npos) ==
            !of_launch);
    }
  }
}

TEST_CASE("emulated GPU: kernels without an error compute what they should after all of these" *
          test::needs_emulation) {
  const std::vector<std::int32_t> turned = result_of("with_barrier", zeros());
  for (int i = 0; i < 64; ++i) CHECK(turned[static_cast<std::size_t>(i)] == 63 - i);
  const std::vector<std::int32_t> votes = result_of("votes", zeros());
  CHECK(std::count(votes.begin(), votes.end(), 1) == 64);
  CHECK(result_of("atomic_counter", zeros())[0] == 192);
}

TEST_CASE("emulated GPU: threads and blocks run in an order that the seed decides" * test::needs_emulation) {
  const auto order_of = [](std::uint64_t seed) {
    const Seed set(seed);
    std::vector<std::int32_t> places = result_of("places", zeros());
    return std::vector<std::int32_t>(places.begin() + 1, places.begin() + 1 + 256);
  };
  std::set<std::vector<std::int32_t>> orders;
  std::set<std::int32_t> first_blocks;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const std::vector<std::int32_t> order = order_of(seed);
    CHECK(order == order_of(seed));
    CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
    CHECK(std::set<std::int32_t>(order.begin(), order.end()).size() == 256);
    orders.insert(order);
    first_blocks.insert(order[0] / 64);
  }
  CHECK(orders.size() == seeds);
  CHECK(first_blocks.size() == 4);
}

TEST_CASE("emulated GPU: what only machine code can refuse runs here, and is listed" * test::needs_emulation) {
  const Tensor out = zeros();
  planted::start_impossible(zeros(), out);
  gpu().synchronize();
  CHECK(out.to(Device::cpu, DType::i32).data<std::int32_t>()[127] == 1);
}

TEST_CASE("emulated GPU: a structure uses what its pointers point to, and nothing by its padding" *
          test::needs_emulation) {
  struct Structure {
    float number;  // and four bytes of padding
    const void* pointer;
  };
  const Tensor memory = zeros();
  const auto address = reinterpret_cast<std::uintptr_t>(memory.raw());
  const auto uses_of = [&](const void* pointer) {
    auto structure = std::make_unique<Structure>();
    structure->pointer = pointer;
    // The number and the padding together are the bits of an address of the GPU.
    std::memcpy(static_cast<void*>(structure.get()), &address, sizeof address);
    const Structure* volatile unknown_to_the_compiler = structure.get();  // or it drops the padding by itself
    return cuda::emulation::uses_of(nullptr, *unknown_to_the_compiler);
  };
  CHECK(uses_of(nullptr).empty());
  const auto uses = uses_of(memory.raw());
  REQUIRE(uses.size() == 1);
  CHECK(uses[0].begin == address);
  CHECK(uses[0].end >= address + memory.bytes());
}
