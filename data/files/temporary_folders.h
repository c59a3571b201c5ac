// Folders for temporary files that several programs may leave behind, because a killed process removes nothing. Each holds a
// lock (file_lock.h) for as long as somebody uses it. The next program of the same user removes those whose lock is free.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kindred {

// The name of the lock in such a folder.
inline constexpr const char* lock_of_temporary_folder = "in-use";

// How the names of this user's folders for that purpose begin: "kindred-shards-1000-".
std::string beginning_of_temporary_folders(std::string_view purpose);

// Removes the folder if it is this user's and nobody has its lock. One without a lock may just be being made: it stays
// until it is a day old. Whoever waits for the lock meanwhile sees that it is not current. Errors are none: the next
// program tries again.
void remove_if_abandoned(const std::filesystem::path& folder);

// All folders for that purpose directly in `parent`.
void remove_abandoned_folders(const std::filesystem::path& parent, std::string_view purpose);

}  // namespace kindred
