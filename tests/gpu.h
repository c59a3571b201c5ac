// Test cases that need device cuda: a GPU, or its emulation.
//
//   TEST_CASE("sums on a GPU" * test::needs_gpu) { ... }
//
// Whether there is one is asked in main(), after start-up: at the time when doctest registers its cases, CUDA
// has not registered this program's kernels yet, and a GPU that works would be found to have no code.
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
// Runs anywhere, for each device at hand, and so on a GPU as well where there is one.
inline constinit const GpuCases also_on_gpu{"also on a GPU"};

// Why device cuda cannot be used; empty where it can. Asked once.
const std::string& why_no_gpu();
inline bool has_gpu() {
  return why_no_gpu().empty();
}

// `devices`, and device cuda where there is one.
inline std::vector<Device> with_gpu(std::vector<Device> devices) {
  if (has_gpu()) devices.push_back(Device::cuda);
  return devices;
}

// While one of these lives, cuDNN and cuBLASLt choose among ways that give the same bits in every run: for
// tests that compare two runs. The fastest way to a filter's gradient often is none of them.
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
