#include <kindred/apps/console/images/given_images.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/counted.h>
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
  return !data.shards.empty() || !data.named_split.empty() || data.val_fraction || !data.labels.empty() ||
         is_set_with_parts(data.path);
}

// Images that are no data set; empty if `path` is something else.
std::string kind_without_parts(const std::string& path) {
  std::error_code ignored;
  if (is_a_folder(path)) {
    const bool is_plain = !detail::list_files(path, detail::is_image_name).empty() &&
                          !is_set_with_parts(path) && !detail::holds_sets(path) &&
                          detail::all_classes(path).size() <= 1;
    return is_plain ? "a folder of images without class folders" : "";
  }
  if (!std::filesystem::exists(path, ignored)) return {};
  if (is_list_name(path)) return "a list of images";
  return promised_format(path).empty() ? "" : "an image";
}

// --split and --val-fraction choose a part of a set.
void check_has_parts(const DataFlags& data) {
  const std::string flag = !data.named_split.empty() ? "--split " + data.named_split
                           : data.val_fraction       ? fmt::format("--val-fraction {}", *data.val_fraction)
                                                     : "";
  if (flag.empty() || !data.labels.empty() || !data.shards.empty()) return;
  const std::string kind = kind_without_parts(data.path);
  check(kind.empty(), ExitCode::usage,
        "{}: it chooses a part of a data set, and {} is {}, which has no parts; leave it out", flag, data.path,
        kind);
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

Dataset noted_and_limited(const Dataset& set, const DataFlags& data) {
  print_notes(set);
  const std::int64_t limit = data.limit_eval_per_class();
  return limit > 0 ? first_of_each_class(set, limit) : set;
}

Dataset with_origin_and_limit(Dataset set, const DataFlags& data) {
  set.set_origin({data.path, set.origin().part});
  return noted_and_limited(set, data);
}

// The images of the part that is asked for, if they have no labels: who needs none takes them as they are.
std::optional<Dataset> part_without_labels(const DataFlags& data) {
  if (!data.shards.empty() || data.val_fraction || !data.labels.empty() || data.named_split == "train")
    return std::nullopt;
  const DatasetOptions options = data.options(Split::evaluation);
  const std::string folder = folder_without_labels(data.path, options.evaluate_on);
  if (folder.empty()) return std::nullopt;
  std::optional<Dataset> images = open_unlabelled_images(folder, options.limits);
  if (images)
    images->add_note(fmt::format("note: {}: its {} lie in no class folders, so they are used without classes",
                                 folder, counted(images->size(), "image")));
  return images;
}

// Images that lie in a folder, and beside them at most one folder with more, which is no class then.
Dataset open_without_classes(const DataFlags& data, const DecodeLimits& limits) {
  Dataset set = open_image_files(image_files_below(data.path, true), limits);
  set.set_origin({data.path, "unlabelled"});
  set.add_note(fmt::format(
      "note: {}: images lie beside its folders, which are no classes then: all {} are used without classes",
      data.path, counted(set.size(), "image")));
  return set;
}

}  // namespace

Dataset open_labelled(const DataFlags& data) {
  if (data.has_shards_without_parts()) return data.open_all_shards();
  if (asks_for_part(data) || !is_a_folder(data.path)) return data.open_asked();
  refuse_parts_alone(data.path);
  if (std::optional<Dataset> set = all_classes_of(data)) return with_origin_and_limit(*std::move(set), data);
  check(
      !open_unlabelled_images(data.path), ExitCode::data, Cause::needs_labels,
      "{}: its images lie in no class folders, so their classes are unknown; put them into a folder per class",
      data.path);
  return data.open_asked();  // which says why it is no set
}

Dataset open_images(const DataFlags& data) {
  if (data.has_shards_without_parts()) return data.open_all_shards();
  check_has_parts(data);
  if (asks_for_part(data)) {
    const std::optional<Dataset> images = part_without_labels(data);
    return images ? noted_and_limited(*images, data) : data.open_asked();
  }
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
  // Beside class folders they are left out with a note, as they are from training.
  if (!has_images_beside || detail::all_classes(data.path).size() > 1)
    if (std::optional<Dataset> set = all_classes_of(data)) return with_origin_and_limit(*std::move(set), data);
  Dataset images = open_loose_images(data.path, limits);
  if (has_images_beside && images.classes() > 1) images = open_without_classes(data, limits);
  return with_origin_and_limit(std::move(images), data);
}

std::vector<std::string> image_paths(const std::vector<std::string>& given) {
  std::vector<std::string> paths;
  for (const std::string& each : given) {
    check(!each.empty(), ExitCode::usage,
          "IMAGE is empty; give the name of an image, of a folder of images, or of a list (.txt)");
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
