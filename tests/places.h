// Where the tests find files and programs: in the source and build trees, or where environment variables say.
// Tests that were unpacked elsewhere set these (scripts/run_packed_tests.sh).
#pragma once

#include <string>

namespace kindred {

std::string golden_dir();  // KINDRED_GOLDEN_DIR
std::string apps_dir();    // KINDRED_APPS_DIR

}  // namespace kindred
