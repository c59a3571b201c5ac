// How much memory this process uses.
#pragma once

#include <cstddef>

namespace kindred {

// Resident memory in bytes, now and at its peak so far (/proc/self/status). 0 if it cannot be read.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

}  // namespace kindred
