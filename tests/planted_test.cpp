// Test cases that fail on request (KINDRED_PLANTED, words separated by spaces), so that a rehearsal of
// scripts/gpu_flight.sh can check that such failures are noticed. Otherwise each adds two numbers on the GPU.
#include "gpu.h"

#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/tensor.h>

#include <fmt/core.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <thread>

namespace kindred {
namespace {

bool is_planted(const std::string& what) {
  const char* variable = std::getenv("KINDRED_PLANTED");
  std::istringstream words(variable != nullptr ? variable : "");
  for (std::string word; words >> word;)
    if (word == what) return true;
  return false;
}

std::vector<float> sum_on_gpu() {
  const Tensor sum = Tensor::from(std::vector<float>{1, 2, 3}, {3}, Device::cuda);
  accumulate(Output(sum), Tensor::from(std::vector<float>{4, 5, 6}, {3}, Device::cuda));
  return sum.to_vector<float>();
}

TEST_CASE("planted on a GPU: a failure" * test::needs_gpu) {
  CHECK(sum_on_gpu() == std::vector<float>{5, 7, is_planted("failure") ? 10.0f : 9.0f});
}

TEST_CASE("planted on a GPU: a crash" * test::needs_gpu) {
  CHECK(sum_on_gpu() == std::vector<float>{5, 7, 9});
  if (is_planted("crash")) {
    std::signal(SIGSEGV, SIG_DFL);  // doctest's handler would end the program normally
    std::raise(SIGSEGV);
  }
}

TEST_CASE("planted on a GPU: a hang" * test::needs_gpu) {
  CHECK(sum_on_gpu() == std::vector<float>{5, 7, 9});
  while (is_planted("hang")) std::this_thread::sleep_for(std::chrono::seconds(1));
}

TEST_CASE("planted on a GPU: a skip" * test::needs_gpu) {
  if (is_planted("skip")) {
    fmt::print("skipped: as planted\n");  // the form that tests use if they cannot run
    return;
  }
  CHECK(sum_on_gpu() == std::vector<float>{5, 7, 9});
}

}  // namespace
}  // namespace kindred
