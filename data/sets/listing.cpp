// Lists a folder in an order that does not depend on the file system.
#include <kindred/data/files/listing_error.h>
#include <kindred/data/sets/dataset_sources.h>

#include <algorithm>
#include <system_error>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

template <typename Wanted>
std::vector<std::string> list_entries(const fs::path& dir, const Wanted& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(dir, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (!name.starts_with('.') && wanted(*entry, name)) names.push_back(std::move(name));
  }
  check_listed(dir.string(), error);
  std::sort(names.begin(), names.end());
  return names;
}

bool is_folder(const fs::directory_entry& entry) {
  std::error_code broken_link;  // counts as a file; loading it reports what is wrong
  return entry.is_directory(broken_link);
}

bool is_link(const fs::directory_entry& entry) {
  std::error_code ignored;
  return entry.is_symlink(ignored);
}

}  // namespace

std::vector<std::string> list_folders(const fs::path& dir) {
  return list_entries(dir,
                      [](const fs::directory_entry& entry, const std::string&) { return is_folder(entry); });
}

std::vector<std::string> list_links(const fs::path& dir) {
  return list_entries(dir, [](const fs::directory_entry& entry, const std::string&) { return is_link(entry); });
}

std::vector<std::string> list_named(const fs::path& dir,
                                    const std::function<bool(const std::string& name)>& wanted) {
  return list_entries(dir, [&](const fs::directory_entry&, const std::string& name) { return wanted(name); });
}

std::vector<std::string> list_files(const fs::path& dir, bool (*wanted)(const std::string& name)) {
  return list_entries(dir, [wanted](const fs::directory_entry& entry, const std::string& name) {
    return wanted(name) && !is_folder(entry);
  });
}

}  // namespace kindred::detail
