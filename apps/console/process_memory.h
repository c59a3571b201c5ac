// How much memory this process uses, and how much it can still take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace kindred {

// Resident memory in bytes, now and at its peak so far (/proc/self/status). 0 if it cannot be read.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

// The bytes that this process can take in addition to those that it has. It is the least of
//   - MemAvailable of /proc/meminfo;
//   - what the limit of its control group leaves, and the limit of every group above it. Version 2: the lower one of
//     memory.max and memory.high, beyond which the kernel slows a process down until it hardly moves, less
//     memory.current. Version 1: memory.limit_in_bytes less memory.usage_in_bytes. Pages of files (in memory.stat)
//     are not counted as used, because the kernel drops them when it needs memory;
//   - available_addresses().
// Returns nullopt if none of them can be read: a file that is missing, or in which no number stands, sets no limit.
// `root` is the folder that has proc/ and sys/.
std::optional<std::size_t> available_memory(const std::filesystem::path& root);

// The bytes that `ulimit -v` leaves of the address space. It counts what is reserved, whether it is used or not:
// stacks of threads, libraries, mapped files. Returns nullopt without such a limit.
std::optional<std::size_t> available_addresses(const std::filesystem::path& root);

// The threads of this process, this one too; at least 1.
std::int64_t running_threads(const std::filesystem::path& root);

// The same of this machine. For tests only: the environment variable KINDRED_PSEUDO_FILES names another root.
std::optional<std::size_t> available_memory();
std::optional<std::size_t> available_addresses();
std::int64_t running_threads();

}  // namespace kindred
