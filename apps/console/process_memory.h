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

// A limit that was set for this process, or for a group of processes that it is in. Raising it gives more memory.
struct MemoryLimit {
  const char* name = "";  // "ulimit -v", "memory.max of the control group"
  std::size_t bytes = 0;  // that it allows
  std::size_t left = 0;   // of these
};

// The bytes that this process can take in addition to those that it has. It is the least of
//   - MemAvailable of /proc/meminfo;
//   - what the limit of its control group leaves, and the limit of every group above it. Version 2: the lower one of
//     memory.max and memory.high, beyond which the kernel slows a process down until it hardly moves, less
//     memory.current. Version 1: memory.limit_in_bytes less memory.usage_in_bytes. Pages of files (in memory.stat)
//     are not counted as used, because the kernel drops them when it needs memory;
//   - what limit_of_addresses() leaves.
// Returns nullopt if none of them can be read: a file that is missing, or in which no number stands, sets no limit.
// `root` is the folder that has proc/ and sys/.
std::optional<std::size_t> available_memory(const std::filesystem::path& root);

// The limit that makes available_memory() what it is; nullopt if it is the machine's memory that ends first, or if nothing is
// known.
std::optional<MemoryLimit> limit_of_memory(const std::filesystem::path& root);

// The limit of what is reserved, whether it is used or not: `ulimit -v` counts stacks of threads, libraries and mapped files,
// `ulimit -d` all of these that only this process can write to. Of both it is the one that leaves less; nullopt if
// there is none.
std::optional<MemoryLimit> limit_of_addresses(const std::filesystem::path& root);

// A limit of the number of processes, where each thread counts as one.
struct ThreadLimit {
  const char* name = "";  // "ulimit -u", "pids.max of the control group"
  std::size_t threads = 0;
};
// The smaller one of `ulimit -u`, which counts those of the user everywhere and does not hold for root (`is_root`), and of
// pids.max of the process's control groups. Returns nullopt if there is none.
std::optional<ThreadLimit> limit_of_threads(const std::filesystem::path& root, bool is_root);

// The bytes that the system reserves for the stack of a thread (`ulimit -s`); nullopt if that is not limited.
std::optional<std::size_t> limit_of_stack(const std::filesystem::path& root);

// The threads of this process, this one too; at least 1.
std::int64_t running_threads(const std::filesystem::path& root);

// The same of this machine and user. For tests only: the environment variable KINDRED_PSEUDO_FILES names another root.
std::optional<std::size_t> available_memory();
std::optional<MemoryLimit> limit_of_memory();
std::optional<MemoryLimit> limit_of_addresses();
std::optional<ThreadLimit> limit_of_threads();
std::optional<std::size_t> limit_of_stack();
std::int64_t running_threads();

}  // namespace kindred
