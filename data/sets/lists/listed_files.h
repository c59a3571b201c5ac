// The files that the paths of a list mean. Each folder is listed once, so that a million images need no million looks
// at the disk.
#pragma once

#include <filesystem>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace kindred::detail {

class ListedFiles {
 public:
  explicit ListedFiles(std::filesystem::path dir);

  // The files that `listed` may mean: none, the one, or several that differ only in their ending. The paths are
  // without "." and "..", and relative to `dir` unless `listed` is absolute or leads out of it behind a link. The file
  // may lie outside of `dir`. If there is no file of exactly this name, one with the ending of an image format, in any
  // letter case, is looked for, and a backslash counts as a slash. Links are followed, as by the system: "link/.." is
  // the folder above the link's target. A folder is no file. Throws Error(data) if a folder cannot be listed.
  std::vector<std::string> find(const std::string& listed);

  // The path of a file that `find` gave, with the real path of its folder: the same for all paths that lead to the file,
  // unless a link has the place of the file itself.
  std::string real_path(const std::string& found);

  // The folder directly in `dir` in which `listed` is found; empty if there is none.
  std::string folder_with(const std::string& listed);

 private:
  struct Folder {
    std::string real;  // its path without links
    std::unordered_set<std::string> names;
  };
  using EndingsByStem = std::unordered_map<std::string, std::vector<std::string>>;

  const Folder& folder_at(const std::string& below);
  std::vector<std::string> endings_in(const std::string& below, const std::string& stem);
  std::string without_dots(const std::string& listed) const;

  std::filesystem::path dir_;
  std::unordered_map<std::string, Folder> folders_;  // by their path as in the list: "" or ".../"
  // Likewise, of folders in which a name without an ending was looked for.
  std::unordered_map<std::string, EndingsByStem> endings_;
};

}  // namespace kindred::detail
