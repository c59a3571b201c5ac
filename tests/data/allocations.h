// How often this process has called operator new so far, in all threads. What C libraries take by malloc
// (libjpeg's tables for one picture, stb_image) is not counted.
#pragma once

#include <cstdint>

namespace kindred::test {

std::int64_t allocations();

}  // namespace kindred::test
