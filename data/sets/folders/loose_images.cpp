// The images of a folder that is no data set.
#include <kindred/data/files/file.h>
#include <kindred/data/files/listing_error.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/file_source.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/data/sets/lists/list_text.h>
#include <kindred/engine/error.h>
#include <kindred/engine/trimmed.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_list_bytes = std::size_t{1} << 30;

struct FoundImages {
  std::map<std::string, std::vector<std::string>>
      names{};  // by folder, relative to the one that was searched; sorted
  UnreadFormats unread{};
};

// The files below `dir` whose names have the ending of an image format; with `all_formats` also of those that this
// build cannot read.
FoundImages find_images(const std::string& dir, bool all_formats) {
  std::error_code error;
  const fs::directory_iterator first(dir, error);
  check_listed(dir, error);
  FoundImages found;
  walk_files(dir, {.skip_unlistable = true}, [&](const std::string& below, const std::string& name) {
    if (promised_format(name).empty()) return true;  // a README, a script
    found.unread.add(name);
    if (all_formats || detail::is_image_name(name))
      found.names[below.empty() ? "." : below.substr(0, below.size() - 1)].push_back(name);
    return true;
  });
  for (auto& [folder, names] : found.names) std::sort(names.begin(), names.end());
  return found;
}

bool is_path_of_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

// Without spaces around it, and without a pair of quotes, as tables and shells put them around a path.
std::string_view without_quotes(std::string_view line) {
  line = trimmed(line);
  if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front())
    line = line.substr(1, line.size() - 2);
  return line;
}

std::vector<std::string> paths_of(const std::string& dir, const FoundImages& found) {
  std::vector<std::string> paths;
  for (const auto& [folder, names] : found.names)
    for (const std::string& name : names)
      paths.push_back((fs::path(dir) / folder / name).lexically_normal().string());
  return paths;
}

}  // namespace

Dataset open_loose_images(const std::string& dir, const DecodeLimits& limits) {
  const auto [files, unread] = find_images(dir, true);
  check(!files.empty(), ExitCode::data, "{}: no images in it, at any depth", dir);
  auto source = std::make_shared<detail::FileSource>(limits);
  std::vector<std::string> classes;
  std::vector<std::int32_t> labels;
  for (const auto& [folder, names] : files) {
    source->add_folder((fs::path(dir) / folder).lexically_normal());
    for (const std::string& name : names) source->add_file(name);
    labels.insert(labels.end(), names.size(), static_cast<std::int32_t>(classes.size()));
    classes.push_back(folder);
  }
  Dataset set(std::move(classes), std::move(labels), std::move(source), false);
  if (!unread.empty()) set.add_note(unread.warning(dir));
  set.set_origin({dir, set.classes() == 1 ? "unlabelled" : "all"});
  return set;
}

std::optional<Dataset> open_unlabelled_images(const std::string& dir, const DecodeLimits& limits) {
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored) || detail::holds_sets(dir) || detail::all_classes(dir).size() > 1)
    return std::nullopt;
  const FoundImages found = find_images(dir, false);
  if (found.names.empty()) return std::nullopt;
  Dataset set = open_image_files(paths_of(dir, found), limits);
  if (!found.unread.empty()) set.add_note(found.unread.warning(dir));
  set.set_origin({dir, "unlabelled"});
  return set;
}

std::vector<std::string> image_files_below(const std::string& dir, bool all_formats) {
  return paths_of(dir, find_images(dir, all_formats));
}

Dataset open_image_files(const std::vector<std::string>& paths, const DecodeLimits& limits) {
  auto source = std::make_shared<detail::FileSource>(limits);
  source->add_folder("");
  for (const std::string& path : paths) source->add_file(path);
  Dataset set({"images"}, std::vector<std::int32_t>(paths.size()), std::move(source), false);
  if (!paths.empty()) set.set_origin({fs::path(paths.front()).parent_path().string(), "unlabelled"});
  return set;
}

std::vector<std::string> read_image_list(const std::string& file) {
  const FileContent content = read_file(file, most_list_bytes);
  check(content.ok(), ExitCode::data, "{}: {}", file, content.reason);
  std::string_view rest(reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size());
  if (rest.starts_with(detail::byte_order_mark)) rest.remove_prefix(detail::byte_order_mark.size());
  std::vector<std::string> paths;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trimmed(line).empty()) continue;
    const bool may_be_path = line.size() <= detail::longest_path && line.find('\0') == std::string_view::npos;
    const fs::path folder = fs::path(file).parent_path();
    std::string path = may_be_path ? (folder / fs::path(line)).string() : std::string();
    bool is_file = may_be_path && is_path_of_file(path);
    if (may_be_path &&
        !is_file) {  // names may begin or end with spaces and quotes, so the line itself comes first
      path = (folder / fs::path(without_quotes(line))).string();
      is_file = is_path_of_file(path);
    }
    check(is_file, ExitCode::data,
          "{}: line {}: '{}' is not a file; expected the path of an image, relative to the folder of the list",
          file, number, line.substr(0, detail::longest_path));
    paths.push_back(std::move(path));
  }
  check(!paths.empty(), ExitCode::data, "{}: no line has the path of an image", file);
  return paths;
}

}  // namespace kindred
