// Links that lead nowhere, as where a disk is not mounted. A folder that such a link stands for would be missed without a
// word.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// Whether the path is a symbolic link to something that is not there or cannot be reached. A link that leads in a circle
// is none: no folder ever was where it leads.
bool is_dead_link(const std::filesystem::path& path);

// "a link to /mnt/photos, which is not there", of such a link.
std::string dead_link_text(const std::filesystem::path& link);

// The names of the dead links directly in `dir`, sorted by bytes, without those that begin with a dot, and without those
// with the ending of an image format, which stand for an image. Throws Error(data).
std::vector<std::string> dead_links_in(const std::filesystem::path& dir);

// Whether a name is a file's rather than a folder's: "notes.txt", but not "cat", "002.Albatross" or "3.cat".
bool is_like_file_name(const std::string& name);

}  // namespace kindred
