#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_tree.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/engine/names.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
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

// Whether `named`, the only folder in `dir` with the name of a split, is a class: two or more others hold images, none
// of them is called like a split, and no folder of them all holds folders with images, as a split would.
bool is_class_like_others(const std::filesystem::path& dir, const std::string& named) {
  const detail::ClassTree tree(dir);
  if (tree.names().size() < 3 || !holds_images_alone(dir / named)) return false;
  int others = 0;
  for (const std::string& name : tree.names()) {
    if (name == named || !tree.has_images(name)) continue;
    if (begins_like_split(name) || !holds_images_alone(dir / name)) return false;
    ++others;
  }
  return others >= 2;
}

}  // namespace

std::optional<SplitRole> split_role(std::string_view name) {
  return value_named(split_names, detail::lower_case(name));
}

SplitFolders find_split_folders(const std::filesystem::path& dir) {
  std::vector<std::tuple<std::ptrdiff_t, bool, std::string>> ranked;
  for (const std::string& name : detail::list_folders(dir))
    if (split_role(name)) ranked.emplace_back(split_rank(name), detail::lower_case(name) != name, name);
  if (ranked.size() == 1 && is_class_like_others(dir, std::get<std::string>(ranked.front()))) return {};
  std::sort(ranked.begin(), ranked.end());
  SplitFolders folders;
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
