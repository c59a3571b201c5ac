// Test cases that need device cuda: a GPU, or its emulation.
//
//   TEST_CASE("sums on a GPU" * test::needs_gpu) { ... }
//
// main() checks for the device after start-up. When doctest registers its cases, CUDA has not registered this
// program's kernels yet, and a working GPU would seem to have no code.
#pragma once

#include <kindred/engine/device_kernels.h>
#include <kindred/engine/files/plan_book.h>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace kindred::test {

// A decorator that puts a case into a test suite and counts it.
struct GpuCases {
  const char* suite;
  mutable int count = 0;  // of this program

  void fill(doctest::detail::TestCase& test) const {
    test.m_test_suite = suite;
    ++count;
  }
};

// Left out without a GPU.
inline constinit const GpuCases needs_gpu{"needs a GPU"};
// Runs everywhere, for each available device, so also on a GPU if there is one.
inline constinit const GpuCases also_on_gpu{"also on a GPU"};

// Why device cuda cannot be used; empty if it can. Determined once.
const std::string& why_no_gpu();
inline bool has_gpu() {
  return why_no_gpu().empty();
}

// `devices`, and device cuda if it can be used.
inline std::vector<Device> with_gpu(std::vector<Device> devices) {
  if (has_gpu()) devices.push_back(Device::cuda);
  return devices;
}

// While an object lives, cuDNN and cuBLASLt choose only algorithms that give the same bits in every run. This
// is for tests that compare two runs: the fastest algorithm for a filter's gradient often does not.
class DeterministicPlans {
 public:
  DeterministicPlans() : before_(plan_book().rules()) {
    PlanRules rules = before_;
    rules.deterministic = true;
    plan_book().set_rules(rules);
  }
  ~DeterministicPlans() { plan_book().set_rules(before_); }
  DeterministicPlans(const DeterministicPlans&) = delete;
  DeterministicPlans& operator=(const DeterministicPlans&) = delete;

 private:
  PlanRules before_;
};

}  // namespace kindred::test
