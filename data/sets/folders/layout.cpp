#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <optional>
#include <system_error>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

// The folder for training in `dir`, if there is one and `dir` can be listed.
std::optional<fs::path> training_folder(const fs::path& dir) {
  if (!can_be_listed(dir)) return std::nullopt;
  const SplitFolders folders = find_split_folders(dir);
  if (folders.train.empty()) return std::nullopt;
  return folders.train.front();
}

// The set above `dir` that `dir` is a split of.
struct SetAbove {
  SplitRole role;
  fs::path set;
};
std::optional<SetAbove> find_set_above(const fs::path& dir) {
  std::error_code error;
  fs::path whole = fs::absolute(dir, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // of "set/train/"
  const auto role = split_role(whole.filename().string());
  if (error || !role) return std::nullopt;
  const auto train = training_folder(whole.parent_path());
  if (!train || (*role == SplitRole::train && *train != whole)) return std::nullopt;
  return SetAbove{*role, whole.parent_path()};
}

// The folders in `dir` that have a folder for training.
std::vector<std::string> sets_below(const fs::path& dir) {
  std::vector<std::string> sets;
  for (const std::string& name : list_folders(dir))
    if (training_folder(dir / name)) sets.push_back(name);
  return sets;
}

// A class may have a folder "train", of locomotives; only a set has one with class folders in it.
bool is_set(const fs::path& dir) {
  const auto train = training_folder(dir);
  return train && can_be_listed(*train) && list_folders(*train).size() >= 2;
}

std::vector<std::string> folders_with_images(const ClassTree& tree) {
  std::vector<std::string> names;
  for (const std::string& name : tree.names())
    if (tree.has_images(name)) names.push_back(name);
  return names;
}

// What to add to an error if the folders without images that are read hold others, which may be the classes that are missed.
std::string unread_in(const ClassTree& tree, const std::vector<std::string>& with_images) {
  UnreadFormats unread;
  for (const std::string& name : names_without(tree.names(), with_images)) unread.add(tree.unread(name));
  if (unread.empty()) return {};
  return fmt::format("; its {}folders hold {}; convert them to JPEG or PNG to use them",
                     with_images.empty() ? "" : "other ", unread.to_string());
}

// Why `dir`, which has folders, is no set.
std::string no_set_reason(const fs::path& dir) {
  const std::string no_train = "there is no folder 'train' in it";
  std::vector<std::string> evaluation, with_images;
  for (const std::string& name : list_folders(dir)) {
    if (!split_role(name)) continue;
    evaluation.push_back(name);
    if (can_be_listed(dir / name) && !list_files(dir / name, is_image_name).empty())
      with_images.push_back(name);
  }
  if (!evaluation.empty())
    return fmt::format("{}, but {}, which is for evaluation{}", no_train, quoted_names(evaluation),
                       hint_about_names(dir, with_images));
  const ClassTree tree(dir);
  const std::vector<std::string> classes = folders_with_images(tree);
  const std::string unread = unread_in(tree, classes);
  if (classes.size() == 1)
    return fmt::format("{}, and only one class folder, '{}'{}", no_train, classes.front(), unread);
  if (!unread.empty()) return no_train + unread;
  if (!list_files(dir, is_image_name).empty())
    return no_train + ", and the images in it lie in no class folders";
  return no_train;
}

// What to add to an error if the folder that is missed may be a link that leads nowhere.
std::string dead_links_hint(const fs::path& dir) {
  const std::vector<std::string> dead = dead_links_in(dir);
  const auto may_be_missed = [](const std::string& name) { return !is_like_file_name(name); };
  const auto link = std::find_if(dead.begin(), dead.end(), may_be_missed);
  if (link == dead.end()) return {};
  return fmt::format("; {} is {}", (dir / *link).string(), dead_link_text(dir / *link));
}

// The only folder with images in `dir`, if it holds several class folders itself.
std::optional<fs::path> find_classes_below(const fs::path& dir) {
  const std::vector<std::string> names = folders_with_images(ClassTree(dir));
  if (names.size() != 1 || !can_be_listed(dir / names.front())) return std::nullopt;
  return classes_alone(dir / names.front()).empty() ? std::nullopt : std::optional(dir / names.front());
}

}  // namespace

bool holds_sets(const fs::path& dir) {
  const SplitFolders folders = find_split_folders(dir);
  if (!folders.train.empty() || !folders.validation.empty() || !folders.test.empty()) return true;
  for (const std::string& name : list_folders(dir))
    if (is_set(dir / name)) return true;
  return false;
}

std::vector<std::string> classes_alone(const fs::path& dir) {
  if (list_folders(dir).size() < 2 || find_set_above(dir)) return {};
  std::vector<std::string> classes = all_classes(dir);
  if (classes.size() < 2) return {};
  return classes;
}

std::vector<std::string> all_classes(const fs::path& dir) {
  if (holds_sets(dir)) return {};
  std::vector<std::string> classes = folders_with_images(ClassTree(dir));
  std::erase(classes, flat_test_folder(dir));
  if (classes.empty()) return {};
  // A class that is left out would give the classes behind it other labels.
  for (const std::string& name : list_folders(dir))
    check(can_be_listed(dir / name), ExitCode::data, "{}: the folder cannot be read; check its permissions",
          (dir / name).string());
  return classes;
}

std::string hint_about_names(const fs::path& dir, const std::vector<std::string>& names) {
  std::vector<std::string> classes = folders_with_images(ClassTree(dir));
  std::erase_if(classes, [](const std::string& name) { return split_role(name).has_value(); });
  if (names.empty() || classes.empty()) return {};
  return fmt::format("; class folders cannot have the names of splits: if {} {} like {}, rename {}",
                     quoted_names(names), names.size() == 1 ? "is a class" : "are classes",
                     quoted_names(classes), names.size() == 1 ? "its folder" : "their folders");
}

void fail_no_set(const fs::path& dir) {
  std::error_code ignored;
  const std::string expected = fmt::format(
      "expected {}/train/<class>/*.jpg (and val/<class>/*.jpg or test/<class>/*.jpg to evaluate), "
      "{}/<class>/*.jpg alone, tar shards, a pack, or the binary files of CIFAR-10 or CIFAR-100",
      dir.string(), dir.string());
  check(fs::directory_iterator(dir, ignored) != fs::directory_iterator(), ExitCode::data,
        "{}: the folder is empty; {}", dir.string(), expected);
  for (const fs::path& place : find_split_folders(dir).no_folders)
    check(split_role(place.filename().string()) != SplitRole::train, ExitCode::data, "{}: it is {}; {}",
          place.string(), no_folder_text(place),
          is_dead_link(place) ? "bring the training images back (is their disk mounted?), or mend the link"
                              : "put the folder with the training images in its place");
  if (const auto above = find_set_above(dir))
    fail(ExitCode::data, "{}: this is the folder for {} of a set; give the set, {}", dir.string(),
         above->role == SplitRole::train ? "training" : "evaluation", above->set.string());
  const std::vector<std::string> below = sets_below(dir);
  check(below.size() != 1, ExitCode::data, "{}: the set is one level below: give {}", dir.string(),
        (dir / (below.empty() ? std::string() : below.front())).string());
  check(below.empty(), ExitCode::data, "{}: there are several sets in it: give one of {}", dir.string(),
        quoted_names(below));
  if (const auto classes = find_classes_below(dir))
    fail(ExitCode::data, "{}: the class folders are one level below: give {}", dir.string(), classes->string());
  const std::string compressed = compressed_tars_in(dir);
  check(compressed.empty() || !list_files(dir, is_image_name).empty(), ExitCode::data,
        "{}: {}; unpack an archive of folders with images by tar -xf, and give the folder", dir.string(),
        compressed);
  fail(ExitCode::data, "{}: {}{}; {}", dir.string(), no_set_reason(dir), dead_links_hint(dir), expected);
}

}  // namespace kindred::detail
