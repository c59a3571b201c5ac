// NCCL: whether it is found, and what one GPU can show of it: one process that uses it computes what one computes without
// it, kernel by kernel and recorded. With several processes: tests/emulation/nccl_test.cpp.
#include "../errors.h"
#include "../gpu.h"

#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/recording.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/third_party/nccl/nccl_transport.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>  // defines: std::ssize
#include <random>
#include <regex>
#include <string>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("nccl: the library is opened and says its version, or it is said what to do") {
  const std::string said = nccl_report();
  CAPTURE(said);
  CHECK(said.find('\n') == std::string::npos);
  const bool is_built_in = said.find("this build has no NCCL") == std::string::npos;
  const bool is_emulated = said.find("emulated on the host") != std::string::npos;
  const bool is_here = DynamicLibrary({"libnccl.so.2"}, SearchEnvironment::of_process()).is_open();
  if (!is_built_in)
    CHECK(said.find("nccl.h was not found") != std::string::npos);
  else if (!is_emulated && is_here)
    CHECK(std::regex_match(said, std::regex(R"(NCCL 2\.\d+\.\d+ in /.*)")));
  else if (!is_emulated)
    CHECK(
        std::regex_match(said, std::regex(R"(NCCL is missing \(.*\); pip install nvidia-nccl-cu\d+, or .*)")));
}

TEST_CASE("nccl: one process alone uses it only if the environment says so") {
  const char* text = std::getenv("KINDRED_NCCL");
  if (text == nullptr) CHECK_FALSE(nccl_is_forced());
}

bool is_usable() {
  const std::string said = nccl_report();
  return said.find(" in /") != std::string::npos || said.find("emulated on the host") != std::string::npos;
}

std::string bytes_of(const Tensor& tensor) {
  const Tensor host = tensor.to(Device::cpu, tensor.dtype());
  return {static_cast<const char*>(host.raw()), host.bytes()};
}

Tensor random_on_gpu(const Shape& shape, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& value : values) value = normal(random);
  return Tensor::from(values, shape, Device::cuda);
}

struct Network {
  ParameterStore store;
  Linear first{store, "first", 24, 40}, second{store, "second", 40, 8};

  Network() { store.allocate(Device::cuda, 5); }

  void step(GradientSums& sums, const Tensor& x, const Tensor& cotangent) {
    Tape tape;
    store.attach(tape);
    sums.follow(tape);
    tape.backward(second(first.with_relu(x)), cotangent);
    sums.finish();
  }
};

// The bytes of everything that steps compute: kernel by kernel, and recorded.
std::string bytes_of_steps(const Communicator& processes, DType wire) {
  Network network;
  const Tensor x = random_on_gpu({16, 24}, 1), cotangent = random_on_gpu({16, 8}, 2);
  const Tensor gathered = Tensor::zeros({16, 24}, DType::f32, Device::cuda);
  GradientSums sums(processes, network.store, wire, 50);
  const auto step = [&] {
    processes.all_gather(x, Output(gathered));
    network.step(sums, gathered, cotangent);
    const Communicator::Group group(processes);
    processes.all_reduce(Output(cotangent));
    processes.broadcast(Output(gathered));
  };
  std::string bytes;
  const auto add = [&] {
    for (const Tensor* tensor : {&network.store.flat_gradients(), &gathered, &cotangent})
      bytes += bytes_of(*tensor);
  };
  step();
  add();
  CHECK(sums.figures().buckets >= 3);
  const Recording recording(new_memory_pool(Device::cuda), step);
  for (std::uint32_t replay = 0; replay < 3; ++replay) {
    Tensor(x).copy_from(random_on_gpu({16, 24}, 10 + replay));
    Tensor(network.store.flat_gradients()).fill(0);
    recording.replay();
    add();
    const std::vector<float> gradients = network.store.flat_gradients().to_vector<float>();
    CHECK(std::count(gradients.begin(), gradients.end(), 0.0f) < std::ssize(gradients) / 2);
  }
  return bytes;
}

TEST_CASE("nccl on a GPU: one process that uses NCCL equals one without" * test::needs_gpu) {
  const test::DeterministicPlans deterministic;
  const Communicator alone;
  if (!is_usable()) {
    std::printf("skipped: one process with NCCL was not compared: %s\n", nccl_report().c_str());
    CHECK(test::code_of([&] { open_nccl(alone); }) == ExitCode::device);
    return;
  }
  const Communicator forced(0, 1, nullptr, open_nccl(alone));
  CHECK(forced.description().find("NCCL") != std::string::npos);
  for (const DType wire : {DType::f32, DType::bf16}) {
    const std::string without = bytes_of_steps(alone, wire);
    CHECK(bytes_of_steps(alone, wire) == without);
    CHECK(bytes_of_steps(forced, wire) == without);
  }
  // Each type that is sent.
  for (const DType type : {DType::f32, DType::f64, DType::i32, DType::bf16, DType::f16}) {
    const Tensor values = random_on_gpu({1000}, 3).to(Device::cuda, type);
    const std::string before = bytes_of(values);
    forced.all_reduce(Output(values));
    forced.start_sum(Output(values));
    forced.finish_sums();
    CHECK(bytes_of(values) == before);
  }
}

}  // namespace
}  // namespace kindred
