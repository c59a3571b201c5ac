// Goes through everything that lies below a folder.
//
// Symbolic links are followed, except to folders above. Each real folder is read once, however many links lead to it,
// so loops of links end. A folder's own place counts before a link to it, and a link counts before the links behind it
// in the order of their paths, so the result does not depend on the file system. A broken link counts as a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// Folders as the file system knows them, by whatever path or link they are reached.
class RealFolders {
 public:
  // Returns false if the folder was added before, or if it cannot be examined.
  bool add(const std::filesystem::path& folder);
  // Adds the folder and all folders above it.
  void add_with_parents(const std::filesystem::path& folder);
  bool contains(const std::filesystem::path& folder) const;

 private:
  std::set<std::pair<std::uint64_t, std::uint64_t>> known_;  // device and number
};

struct WalkOptions {
  const RealFolders* closed = nullptr;  // folders that are not entered, if there are any; must outlive the walk
  bool with_hidden = false;             // also names that begin with a dot
  bool skip_unlistable = false;  // otherwise a folder that cannot be listed is an error, of check_listed()
};

// Calls visit(below, name) for every file below `dir` until it returns false. `below` is the folder of the file
// relative to `dir`: "" or "a/b/". The order of the calls is not defined. Throws Error as check_listed()
// does: Error(device), if this process has no memory or no file left, also where folders that cannot be listed are skipped.
void walk_files(const std::filesystem::path& dir, const WalkOptions& options,
                const std::function<bool(const std::string& below, const std::string& name)>& visit);

// The paths, relative to `dir`, of the files that `wanted` accepts by such a path, sorted by bytes. Throws as above.
std::vector<std::string> list_files_below(const std::filesystem::path& dir, const WalkOptions& options,
                                          const std::function<bool(const std::string& path)>& wanted);

// Returns true if the folder exists and may be listed. Throws Error(device) if this process lacks what it takes to know.
bool can_be_listed(const std::filesystem::path& dir);

}  // namespace kindred
