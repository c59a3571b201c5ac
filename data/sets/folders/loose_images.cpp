// The images of a folder that is no data set.
#include <kindred/data/sets/folders/file_source.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <map>
#include <system_error>

namespace kindred {

Dataset open_loose_images(const std::string& dir) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::directory_iterator first(dir, error);
  check(!error, ExitCode::data, "{}: cannot be listed: {}", dir, error.message());
  std::map<std::string, std::vector<std::string>> files;  // by folder, relative to dir
  UnreadFormats unread;
  walk_files(dir, {.skip_unlistable = true}, [&](const std::string& below, const std::string& name) {
    if (promised_format(name).empty()) return true;  // a README, a script
    unread.add(name);
    files[below.empty() ? "." : below.substr(0, below.size() - 1)].push_back(name);
    return true;
  });
  check(!files.empty(), ExitCode::data, "{}: no images in it, at any depth", dir);
  auto source = std::make_shared<detail::FileSource>(DecodeLimits{});
  std::vector<std::string> classes;
  std::vector<std::int32_t> labels;
  for (auto& [folder, names] : files) {
    std::sort(names.begin(), names.end());
    source->add_folder((fs::path(dir) / folder).lexically_normal());
    for (const std::string& name : names) source->add_file(name);
    labels.insert(labels.end(), names.size(), static_cast<std::int32_t>(classes.size()));
    classes.push_back(folder);
  }
  Dataset set(std::move(classes), std::move(labels), std::move(source), false);
  if (!unread.empty()) set.add_note(unread.warning(dir));
  return set;
}

}  // namespace kindred
