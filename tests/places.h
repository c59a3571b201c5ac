// Where the tests find files and programs: in the source and build trees, or where the environment says, as it
// does for tests that were packed and unpacked elsewhere (scripts/run_packed_tests.sh).
#pragma once

#include <string>

namespace kindred {

std::string golden_dir();  // KINDRED_GOLDEN_DIR
std::string apps_dir();    // KINDRED_APPS_DIR

}  // namespace kindred
