// How often this process has called operator new so far, in all threads. Calls of malloc in C libraries
// (libjpeg's tables for one picture) are not counted.
#pragma once

#include <cstdint>

namespace kindred::test {

std::int64_t allocations();

}  // namespace kindred::test
