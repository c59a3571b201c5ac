#include <kindred/data/files/listing_error.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/lists/list_text.h>
#include <kindred/data/sets/lists/listed_files.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

}  // namespace

ListedFiles::ListedFiles(fs::path dir) : dir_(std::move(dir)) {}

const ListedFiles::Folder& ListedFiles::folder_at(const std::string& below) {
  if (const auto known = folders_.find(below); known != folders_.end()) return known->second;
  const fs::path path = below.empty() ? dir_ : dir_ / below;  // `below` alone if it is absolute
  std::error_code error;
  static const Folder none{};
  if (!fs::is_directory(path, error)) return none;  // not kept: a list may name millions that do not exist
  Folder& folder = folders_[below];
  const fs::path real = fs::canonical(path, error);
  folder.real = error ? path.string() : real.string();
  fs::directory_iterator at(path, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code broken_link;  // counts as a file; loading it reports what is wrong
    if (!at->is_directory(broken_link)) folder.names.insert(at->path().filename().string());
  }
  check_listed(path.string(), error);
  return folder;
}

// The endings of the images that are called `stem` in a folder: ".JPG", ".jpg" ...
std::vector<std::string> ListedFiles::endings_in(const std::string& below, const std::string& stem) {
  const Folder& folder = folder_at(below);
  if (folder.names.empty()) return {};
  const auto [endings, is_new] = endings_.try_emplace(below);
  if (is_new)
    for (const std::string& name : folder.names) {
      if (!is_image_name(name)) continue;
      const std::size_t dot = name.rfind('.');
      endings->second[name.substr(0, dot)].push_back(name.substr(dot));
    }
  const auto known = endings->second.find(stem);
  if (known == endings->second.end()) return {};
  std::vector<std::string> sorted = known->second;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

// The path without "." and "..". Behind a link the text does not say which folder ".." is. Empty if there is no such
// folder.
std::string ListedFiles::without_dots(const std::string& listed) const {
  const fs::path path = listed, normal = path.lexically_normal();
  if (listed.find("..") == std::string::npos) return normal.string();
  if (path.filename() == "..") return {};
  const fs::path folder = dir_ / path.parent_path();
  std::error_code error;
  if (fs::equivalent(folder, dir_ / normal.parent_path(), error)) return normal.string();
  const fs::path real = fs::canonical(folder, error);
  if (error) return {};
  const fs::path inside = real.lexically_relative(fs::canonical(dir_, error));
  const bool is_inside = !error && !inside.empty() && *inside.begin() != "..";
  return ((is_inside ? inside : real) / path.filename()).lexically_normal().string();
}

std::vector<std::string> ListedFiles::find(const std::string& listed) {
  if (listed.size() > longest_path) return {};
  const std::string path = without_dots(listed);
  const std::size_t name_begin = path.rfind('/') + 1;  // 0 if there is no slash
  const std::string below = path.substr(0, name_begin), name = path.substr(name_begin);
  const auto& names = folder_at(below).names;
  if (name.empty()) return {};
  if (names.contains(name)) return {path};
  std::vector<std::string> found;
  for (const std::string& ending : endings_in(below, name)) found.push_back(path + ending);
  if (!found.empty() || listed.find('\\') == std::string::npos) return found;
  std::string with_slashes = listed;
  std::replace(with_slashes.begin(), with_slashes.end(), '\\', '/');
  return find(with_slashes);
}

std::string ListedFiles::real_path(const std::string& found) {
  const std::size_t name_begin = found.rfind('/') + 1;  // 0 if there is no slash
  return folder_at(found.substr(0, name_begin)).real + '/' + found.substr(name_begin);
}

std::string ListedFiles::folder_with(const std::string& listed) {
  for (const std::string& folder : list_folders(dir_))
    if (!find(folder + '/' + listed).empty()) return folder;
  return {};
}

}  // namespace kindred::detail
