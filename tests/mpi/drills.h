// What can go wrong in a run of several processes, played by real ones: `mpi_tests --drill=NAME`. Each process meets the
// others again and again, until one of them fails in the way of the drill. drills_test.cpp says what must come of it.
#pragma once

#include <string>

namespace kindred::test {

// How long processes wait for one that hangs.
inline constexpr double drill_limit = 2;  // seconds

// Does not come back in the drills that are in drills_test.cpp; returns the exit code of `none`, where nothing fails.
int run_drill(const std::string& name);

}  // namespace kindred::test
