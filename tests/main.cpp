// Runs the test cases, and says at the end how many of those that need a GPU ran on one.
//
// KINDRED_EXPECT_GPU=1: the program fails if there is no GPU, or if a run without a filter leaves out a case
// that needs one. 0, empty or unset: no GPU is needed.
#define DOCTEST_CONFIG_IMPLEMENT
#include "emulated_gpu.h"

#include <kindred/engine/error.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace kindred::test {
namespace {

int gpu_cases_run = 0;

bool is_of(const doctest::TestCaseData& test, const GpuCases& cases) {
  return std::string_view(test.m_test_suite) == cases.suite;
}

struct GpuCaseCounter : doctest::IReporter {
  explicit GpuCaseCounter(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    is_gpu_case_ = is_of(test, needs_gpu) || (has_gpu() && is_of(test, also_on_gpu));
  }
  // A case that checked nothing does not count as run.
  void test_case_end(const doctest::CurrentTestCaseStats& done) override {
    if (is_gpu_case_ && done.numAssertsCurrentTest > 0) ++gpu_cases_run;
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  bool is_gpu_case_ = false;
};
REGISTER_LISTENER("gpu cases", 1, GpuCaseCounter);

// Returns true if an argument selects cases.
bool is_filter(std::string_view argument) {
  while (argument.starts_with('-')) argument.remove_prefix(1);
  if (argument.starts_with("dt-")) argument.remove_prefix(3);
  const std::string_view name = argument.substr(0, argument.find('='));
  for (const char* option :
       {"test-case", "tc", "test-suite", "ts", "source-file", "sf", "subcase", "sc", "first", "last"})
    if (name.starts_with(option)) return argument.find('=') != std::string_view::npos;
  return false;
}

// Any other word is an error: some would read it as no, others as yes.
bool expects_gpu() {
  const char* variable = std::getenv("KINDRED_EXPECT_GPU");
  const std::string_view value = variable != nullptr ? variable : "";
  check(
      value.empty() || value == "0" || value == "1", ExitCode::usage,
      "KINDRED_EXPECT_GPU is '{}'; expected 1, where a run without a GPU must fail, or 0 or nothing, where its "
      "cases may be left out",
      value);
  return value == "1";
}

}  // namespace

const std::string& why_no_gpu() {
  static const std::string reason = [] {
    if (device_cuda == nullptr) return std::string("this build has no CUDA");
    const GpuProbe probe = device_cuda->probe();
    return probe.problem;
  }();
  return reason;
}

int run(int argc, char** argv) {
  const bool expected = expects_gpu();
  doctest::Context context(argc, argv);
  if (!has_gpu()) context.addFilter("test-suite-exclude", needs_gpu.suite);
  if (!has_gpu() || gpu().emulation == nullptr) context.addFilter("test-suite-exclude", needs_emulation.suite);
  const int status = context.run();
  const int all = needs_gpu.count + also_on_gpu.count;
  std::printf("GPU cases: %d of %d ran%s%s\n", gpu_cases_run, all, has_gpu() ? "" : ": ", why_no_gpu().c_str());
  if (!expected || context.shouldExit()) return status;
  if (!has_gpu()) std::printf("FAILED: KINDRED_EXPECT_GPU is set, and there is no GPU\n");
  const bool left_out = gpu_cases_run != all && std::none_of(argv + 1, argv + argc, is_filter);
  if (has_gpu() && left_out) std::printf("FAILED: GPU cases were left out\n");
  return !has_gpu() || left_out ? EXIT_FAILURE : status;
}

}  // namespace kindred::test

int main(int argc, char** argv) {
  try {
    return kindred::test::run(argc, argv);
  } catch (const kindred::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
