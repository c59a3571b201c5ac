// The files that a run draws: views.jpg and report.html. People give these names to files of their own, also in the folder of a
// run of an earlier version, which drew none. So the name is not enough: such a file is a run's only if it says so itself.
#pragma once

#include <filesystem>
#include <string>

namespace kindred {

// The page that --report draws.
inline constexpr const char* report_page_name = "report.html";

// Returns true for the name of a file that a run draws.
bool is_drawn_name(const std::string& name);

// Returns true for a page that Kindred wrote (apps/pages/page.h). Only its first 4 KiB are read, and links are not followed.
bool is_page_of_ours(const std::filesystem::path& file);

// Returns true if the path has the name of a file that a run draws, and there is something else: a file without Kindred's words
// in it, or one that cannot be read, a folder, a pipe. It is the user's, and stays. A link is none: a file takes its place, and
// what it points to stays.
bool is_drawn_by_others(const std::filesystem::path& file);

// To be asked before a run writes such a file: a line that begins with "warning: " and says why it must not; empty if it may.
std::string warning_of_others(const std::filesystem::path& file);

}  // namespace kindred
