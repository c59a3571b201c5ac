#include <kindred/data/files/listing_error.h>
#include <kindred/data/sets/folders/walk.h>
#include <sys/stat.h>  // defines: stat

#include <algorithm>
#include <optional>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::optional<std::pair<std::uint64_t, std::uint64_t>> identity_of(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return std::nullopt;
  return std::pair(static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino));
}

// The folders that a walk still has to read, relative to its root: "" or "a/b/".
struct FoldersToRead {
  std::vector<std::string> real;
  std::set<std::string> links;

  bool empty() const { return real.empty() && links.empty(); }
  std::string take() {
    std::string next;
    if (real.empty()) {
      next = *links.begin();
      links.erase(links.begin());
    } else {
      next = std::move(real.back());
      real.pop_back();
    }
    return next;
  }
};

// Reads one folder of a walk. Returns false if the walk is to end.
bool walk_one(const fs::path& folder, const std::string& below, const WalkOptions& options,
              const std::function<bool(const std::string&, const std::string&)>& visit, FoldersToRead& found) {
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.') && !options.with_hidden) continue;
    std::error_code broken;
    if (!entry->is_directory(broken)) {
      if (!visit(below, name)) return false;
    } else if (entry->is_symlink(broken)) {
      found.links.insert(below + name + '/');
    } else {
      found.real.push_back(below + name + '/');
    }
  }
  if (!options.skip_unlistable || is_own_lack(error)) check_listed(folder.string(), error);
  return true;
}

}  // namespace

bool RealFolders::add(const fs::path& folder) {
  const auto identity = identity_of(folder);
  return identity && known_.insert(*identity).second;
}

void RealFolders::add_with_parents(const fs::path& folder) {
  std::error_code ignored;
  for (fs::path at = fs::weakly_canonical(folder, ignored);; at = at.parent_path()) {
    add(at);
    if (at == at.parent_path()) return;  // the root, or nothing
  }
}

bool RealFolders::contains(const fs::path& folder) const {
  const auto identity = identity_of(folder);
  return identity && known_.contains(*identity);
}

void walk_files(const fs::path& dir, const WalkOptions& options,
                const std::function<bool(const std::string& below, const std::string& name)>& visit) {
  RealFolders entered;
  entered.add_with_parents(dir);  // a link to a folder above leads back here
  FoldersToRead to_read;
  to_read.real.emplace_back();
  while (!to_read.empty()) {
    const std::string below = to_read.take();
    const fs::path folder = below.empty() ? dir : dir / below.substr(0, below.size() - 1);
    if (!below.empty()) {
      if (options.closed != nullptr && options.closed->contains(folder)) continue;
      if (!entered.add(folder)) continue;
    }
    if (!walk_one(folder, below, options, visit, to_read)) return;
  }
}

std::vector<std::string> list_files_below(const fs::path& dir, const WalkOptions& options,
                                          const std::function<bool(const std::string& path)>& wanted) {
  std::vector<std::string> files;
  walk_files(dir, options, [&](const std::string& below, const std::string& name) {
    std::string path = below + name;
    if (wanted(path)) files.push_back(std::move(path));
    return true;
  });
  std::sort(files.begin(), files.end());
  return files;
}

bool can_be_listed(const fs::path& dir) {
  std::error_code error;
  const fs::directory_iterator first(dir, error);
  if (is_own_lack(error)) check_listed(dir.string(), error);
  return !error;
}

}  // namespace kindred
