#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>
#include <kindred/engine/trimmed.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr Named<SplitRole> split_names[] = {
    {SplitRole::train, "train"},      {SplitRole::train, "training"},        {SplitRole::validation, "val"},
    {SplitRole::validation, "valid"}, {SplitRole::validation, "validation"}, {SplitRole::validation, "dev"},
    {SplitRole::validation, "eval"},  {SplitRole::validation, "evaluation"}, {SplitRole::test, "test"},
    {SplitRole::test, "testing"}};

// The place of a name in the table; behind the last one if it has no role.
std::ptrdiff_t split_rank(std::string_view name) {
  const auto* const entry = entry_named(split_names, detail::lower_case(name));
  return entry == nullptr ? std::ssize(split_names) : entry - split_names;
}

// What stands behind the name of a split in others that mean the same.
constexpr std::string_view words_behind_splits[] = {"set", "images", "image", "img", "imgs", "data", "stg"};

// "1", "_images" and "-set-2", but not "_tube".
bool may_stand_behind_split(std::string_view rest) {
  const char* const signs = "0123456789_-. ";
  const std::string_view word = trimmed(rest, signs);
  return word.empty() || std::find(std::begin(words_behind_splits), std::end(words_behind_splits), word) !=
                             std::end(words_behind_splits);
}

// "test1" and "train_images" too are not meant as classes.
bool begins_like_split(std::string_view name) {
  const std::string lower = detail::lower_case(name);
  return std::any_of(std::begin(split_names), std::end(split_names),
                     [&](const Named<SplitRole>& split) { return lower.starts_with(split.name); });
}

// There are images directly in the folder, and none in a folder in it.
bool holds_images_alone(const std::filesystem::path& folder) {
  if (!can_be_listed(folder) || detail::list_files(folder, detail::is_image_name).empty()) return false;
  const detail::ClassTree below(folder);
  return std::none_of(below.names().begin(), below.names().end(),
                      [&](const std::string& name) { return below.has_images(name); });
}

// No images at any depth, of whatever format, and no shards. False if not all of it can be listed.
bool is_without_images(const std::filesystem::path& folder) {
  bool found = false;
  try {
    walk_files(folder, {}, [&](const std::string&, const std::string& file) {
      found = !promised_format(file).empty() || detail::lower_case(file).ends_with(".tar");
      return !found;
    });
    return !found && detail::compressed_tars_in(folder).empty();
  } catch (const Error&) {
    return false;
  }
}

int unnamed_folders_with_images(const detail::ClassTree& tree) {
  return static_cast<int>(std::count_if(tree.names().begin(), tree.names().end(), [&](const std::string& name) {
    return !split_role(name) && tree.has_images(name);
  }));
}

// Whether `named`, the only folder in `dir` with the name of a split and with images, is a class: two or more others hold
// images, none of them is called like a split, and no folder of them all holds folders with images, as a split would.
bool is_class_like_others(const std::filesystem::path& dir, const std::string& named) {
  const detail::ClassTree tree(dir);
  if (tree.names().size() < 3 || !holds_images_alone(dir / named)) return false;
  int others = 0;
  for (const std::string& name : tree.names()) {
    if (name == named || !tree.has_images(name)) continue;  // also others with such names, but without images
    if (begins_like_split(name) || !holds_images_alone(dir / name)) return false;
    ++others;
  }
  return others >= 2;
}

// Whether the folders `named` in `dir`, which are all that are called as splits are, are none.
bool are_no_splits(const std::filesystem::path& dir, std::vector<std::string> named) {
  const detail::ClassTree tree(dir);
  if (tree.names().size() < named.size() + 2) return false;
  std::erase_if(named, [&](const std::string& name) { return is_without_images(dir / name); });
  if (named.empty()) return unnamed_folders_with_images(tree) >= 2;
  return named.size() == 1 &&
         (flat_test_folder(dir) == named.front() || is_class_like_others(dir, named.front()));
}

}  // namespace

std::optional<SplitRole> split_role(std::string_view name) {
  return value_named(split_names, detail::lower_case(name));
}

std::optional<SplitRole> split_role_like(std::string_view name) {
  const std::string lower = detail::lower_case(name);
  for (const Named<SplitRole>& split : split_names) {
    const std::string_view begin = split.name;
    if (lower.starts_with(begin) && may_stand_behind_split(std::string_view(lower).substr(begin.size())))
      return split.value;
  }
  return std::nullopt;
}

std::string flat_test_folder(const std::filesystem::path& dir) {
  const detail::ClassTree tree(dir);
  const auto is_for_tests = [](const std::string& name) { return split_role_like(name) == SplitRole::test; };
  if (std::none_of(tree.names().begin(), tree.names().end(), is_for_tests)) return {};
  std::string found;
  int classes = 0;
  for (const std::string& name : tree.names()) {
    if (!tree.has_images(name)) continue;
    if (!split_role_like(name))
      ++classes;
    else if (is_for_tests(name) && found.empty())
      found = name;
    else
      return {};
  }
  return classes >= 2 && !found.empty() && holds_images_alone(dir / found) ? found : std::string();
}

SplitFolders find_split_folders(const std::filesystem::path& dir) {
  SplitFolders folders;
  std::vector<std::tuple<std::ptrdiff_t, bool, std::string>> ranked;
  const auto is_split = [](const std::string& name) { return split_role(name).has_value(); };
  for (const std::string& name : detail::list_named(dir, is_split)) {
    std::error_code ignored;
    if (std::filesystem::is_directory(dir / name, ignored))
      ranked.emplace_back(split_rank(name), detail::lower_case(name) != name, name);
    else if (is_no_folder(dir / name))
      folders.no_folders.push_back(dir / name);
  }
  if (ranked.empty()) return folders;
  std::vector<std::string> named;
  for (const auto& [rank, other_case, name] : ranked) named.push_back(name);
  if (are_no_splits(dir, std::move(named))) return folders;
  std::sort(ranked.begin(), ranked.end());
  for (const auto& [rank, other_case, name] : ranked) {
    const SplitRole role = split_names[rank].value;
    (role == SplitRole::train        ? folders.train
     : role == SplitRole::validation ? folders.validation
                                     : folders.test)
        .push_back(dir / name);
  }
  return folders;
}

}  // namespace kindred
