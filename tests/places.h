// Where the tests find files and programs: in the source and build trees, or where the environment says, as it
// does for tests that were packed and unpacked elsewhere (scripts/run_packed_tests.sh).
#pragma once

#include <cstdlib>
#include <string>

namespace kindred {

inline std::string place(const char* variable, const char* built) {
  const char* elsewhere = std::getenv(variable);
  return elsewhere != nullptr ? elsewhere : built;
}

inline std::string golden_dir() {
  return place("KINDRED_GOLDEN_DIR", KINDRED_GOLDEN_DIR);
}
inline std::string apps_dir() {
  return place("KINDRED_APPS_DIR", KINDRED_APPS_DIR);
}

}  // namespace kindred
