// How the test program reacts to KINDRED_EXPECT_GPU. It runs itself.
#include "apps/programs.h"
#include "gpu.h"

namespace kindred {
namespace {

// A run without any selected case.
ProgramResult run_with(const std::string& value) {
  return run_these_tests("KINDRED_EXPECT_GPU='" + value + "'", "'--test-case=no such case'");
}

TEST_CASE("KINDRED_EXPECT_GPU: 1 is yes, 0 and nothing are no, and anything else is an error") {
  CHECK(run_these_tests("unset KINDRED_EXPECT_GPU;", "'--test-case=no such case'").code == 0);
  for (const char* no : {"", "0"}) CHECK(run_with(no).code == 0);
  const ProgramResult yes = run_with("1");
  CHECK(yes.code == (test::has_gpu() ? 0 : 1));
  CHECK(says(yes, "there is no GPU") == !test::has_gpu());
  for (const char* other : {"2", "yes", "true", "on", "01", " 1", "1 "}) {
    const ProgramResult refused = run_with(other);
    CAPTURE(other);
    CHECK(refused.code == 2);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, std::string("KINDRED_EXPECT_GPU is '") + other + "'; expected 1"));
    CHECK_FALSE(says(refused, "test cases"));
  }
}

}  // namespace
}  // namespace kindred
