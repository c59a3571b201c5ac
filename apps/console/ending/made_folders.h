// Folders that this program made for its results, for an end at which nothing can run but calls of the system: without
// memory, or in the handler of a fault. Then those that are empty are removed.
#pragma once

#include <filesystem>

namespace kindred {

// Remembers a folder, up to sixteen with paths of the usual length; others are left behind at such an end. Of folders in
// each other the innermost is noted first. The current folder may change afterwards.
void note_made_folder(const std::filesystem::path& folder) noexcept;
// To be called when somebody else looks after it.
void forget_made_folder(const std::filesystem::path& folder) noexcept;
// Removes the noted folders that are empty. Takes no memory and no lock, and may be called by the handler of a signal.
void remove_empty_made_folders() noexcept;

}  // namespace kindred
