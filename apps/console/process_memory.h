// How much memory this process uses, and how much it can still take.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

namespace kindred {

// Resident memory in bytes, now and at its peak so far (/proc/self/status). 0 if it cannot be read.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

// The bytes that this process can take in addition to those that it has. It is the least of
//   - MemAvailable of /proc/meminfo;
//   - what the limit of its control group leaves, and the limit of every group above it. Version 2: memory.max less
//     memory.current, version 1: memory.limit_in_bytes less memory.usage_in_bytes. Inactive pages of files (in
//     memory.stat) are not counted as used, because the kernel drops them when it needs memory;
//   - the address space that `ulimit -v` leaves.
// Returns nullopt if none of them can be read. `root` is the folder that has proc/ and sys/.
std::optional<std::size_t> available_memory(const std::filesystem::path& root);

// The same of this machine. For tests only: the environment variable KINDRED_PSEUDO_FILES names another root.
std::optional<std::size_t> available_memory();

}  // namespace kindred
