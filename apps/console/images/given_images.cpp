#include <kindred/apps/console/images/given_images.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

bool is_list_name(const std::string& path) {
  return path.ends_with(".txt");
}

bool is_a_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// A part of a set, not just any images.
bool asks_for_part(const DataFlags& data) {
  return !data.named_split.empty() || data.val_fraction || !data.labels.empty() || is_set_with_parts(data.path);
}

// Folders for validation or tests without one for training: either may be meant.
void refuse_parts_alone(const std::string& dir) {
  const SplitFolders folders = find_split_folders(dir);
  std::string found;
  for (const auto& role : {folders.validation, folders.test})
    for (const std::filesystem::path& folder : role)
      found += fmt::format("{}{}", found.empty() ? "" : " or ", folder.string());
  check(found.empty(), ExitCode::data,
        "{}: there is no folder 'train' in it; give one of its folders alone: {}", dir, found);
}

std::optional<Dataset> all_classes_of(const DataFlags& data) {
  std::optional<Dataset> set = open_class_images(data.path, data.options(Split::evaluation).limits);
  if (!set) return std::nullopt;
  set->add_note(fmt::format(
      "note: {} has no parts for training and evaluation: all images of its {} are used; --split val uses only "
      "those that --val-fraction holds out",
      data.path, set->classes() == 1 ? "class folder" : fmt::format("{} class folders", set->classes())));
  return set;
}

Dataset with_origin_and_limit(Dataset set, const DataFlags& data) {
  print_notes(set);
  set.set_origin({data.path, set.origin().part});
  const std::int64_t limit = data.limit_eval_per_class();
  return limit > 0 ? first_of_each_class(set, limit) : set;
}

}  // namespace

Dataset open_labelled(const DataFlags& data) {
  if (asks_for_part(data) || !is_a_folder(data.path)) return data.open_asked();
  refuse_parts_alone(data.path);
  if (std::optional<Dataset> set = all_classes_of(data)) return with_origin_and_limit(*std::move(set), data);
  return data.open_asked();  // which says why it is no set
}

Dataset open_images(const DataFlags& data) {
  if (asks_for_part(data)) return data.open_asked();
  const DecodeLimits limits = data.options(Split::evaluation).limits;
  if (!is_a_folder(data.path)) {
    if (is_list_name(data.path))
      return with_origin_and_limit(open_image_files(read_image_list(data.path), limits), data);
    if (!promised_format(data.path).empty())
      return with_origin_and_limit(open_image_files({data.path}, limits), data);
    return data.open_asked();
  }
  refuse_parts_alone(data.path);
  if (detail::holds_sets(data.path)) return data.open_asked();
  const bool has_images_beside = !detail::list_files(data.path, detail::is_image_name).empty();
  if (!has_images_beside)
    if (std::optional<Dataset> set = all_classes_of(data)) return with_origin_and_limit(*std::move(set), data);
  return with_origin_and_limit(open_loose_images(data.path, limits), data);
}

std::vector<std::string> image_paths(const std::vector<std::string>& given) {
  std::vector<std::string> paths;
  for (const std::string& each : given) {
    if (!is_a_folder(each) && !is_list_name(each)) {
      paths.push_back(each);
      continue;
    }
    std::vector<std::string> found =
        is_list_name(each) && !is_a_folder(each) ? read_image_list(each) : image_files_below(each, true);
    check(!found.empty(), ExitCode::data, "{}: no images in it, at any depth", each);
    paths.insert(paths.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }
  return paths;
}

}  // namespace kindred
