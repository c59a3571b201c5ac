// What else lies in the folder of a run: what stands in its way, and what stays beside it.
#pragma once

#include <filesystem>

namespace kindred {

// Throws Error(usage), with a line that names it, if something stands where a run puts a file or a folder of its own, so
// that it could train but not save: a folder with the name of one of its files, or a file or a link to nothing with the
// name of one of its folders (folders_of_files). Links with the names of its files are no obstacle: they are replaced. Neither is
// anything in the place of what a run draws: it does without (drawn_files.h).
void check_no_obstacle(const std::filesystem::path& run);

// For a run whose own files are set aside. Prints a line that names what stays in its folder, which could be taken for the
// new run's: features of the earlier encoder, for example. And one that names the folders inside that cannot be looked
// into, where results of a probe may be.
void warn_of_others(const std::filesystem::path& run);

}  // namespace kindred
