// What stands where a folder is expected and is none: links that lead nowhere, as where a disk is not mounted, files, pipes.
// The folder that is meant would be missed without a word.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// Whether the path is a symbolic link to something that is not there or cannot be reached.
bool is_dead_link(const std::filesystem::path& path);

// Whether it is one that leads back to itself. No folder ever was where such a link leads.
bool is_circular_link(const std::filesystem::path& path);

// "a link to /mnt/photos, which is not there", of a dead link.
std::string dead_link_text(const std::filesystem::path& link);

// The names of the dead links directly in `dir`, sorted by bytes, without those that begin with a dot, and without those
// with the ending of an image format, which stand for an image. Throws Error(data).
std::vector<std::string> dead_links_in(const std::filesystem::path& dir);

// Whether the path is a dead link, a file, a pipe or another thing that is no folder. False if nothing is there.
bool is_no_folder(const std::filesystem::path& path);

// Of such a thing: what it is, "a pipe, not a folder", and what its owner can do.
std::string no_folder_text(const std::filesystem::path& path);
std::string no_folder_advice(const std::filesystem::path& path);

// Whether a name is a file's rather than a folder's: "notes.txt", but not "cat", "002.Albatross" or "3.cat".
bool is_like_file_name(const std::string& name);

}  // namespace kindred
