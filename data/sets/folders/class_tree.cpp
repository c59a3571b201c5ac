#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/dead_links.h>

#include <algorithm>
#include <utility>

namespace kindred::detail {

ClassTree::ClassTree(std::filesystem::path folder) : folder_(std::move(folder)), names_(list_folders(folder_)) {
  closed_.add_with_parents(folder_);
  closed_.add_with_parents(folder_.parent_path());  // others, if `folder` is a link
  for (const std::string& name : names_) closed_.add(folder_ / name);
}

bool ClassTree::has(const std::string& name) const {
  return std::binary_search(names_.begin(), names_.end(), name);
}

ClassTree::Content ClassTree::content(const std::string& name) const {
  Content found;
  found.images = list_files_below(folder_ / name, {.closed = &closed_}, [&](const std::string& path) {
    found.unread.add(path);
    if (is_image_name(path)) return true;
    if (promised_format(path).empty() && is_dead_link(folder_ / name / path)) found.dead_links.push_back(path);
    return false;
  });
  std::sort(found.dead_links.begin(), found.dead_links.end());
  return found;
}

bool ClassTree::has_images(const std::string& name) const {
  bool found = false;
  walk_files(folder_ / name, {.closed = &closed_, .skip_unlistable = true},
             [&](const std::string&, const std::string& file) {
               found = is_image_name(file);
               return !found;
             });
  return found;
}

UnreadFormats ClassTree::unread(const std::string& name) const {
  UnreadFormats files;
  walk_files(folder_ / name, {.closed = &closed_, .skip_unlistable = true},
             [&](const std::string&, const std::string& file) {
               files.add(file);
               return true;
             });
  return files;
}

}  // namespace kindred::detail
