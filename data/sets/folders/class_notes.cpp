#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/class_notes.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/evaluation_folder.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>
#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

// Splits beside class folders have warnings of their own.
std::vector<std::string> dead_links_beside_classes(const ClassTree& tree) {
  std::vector<std::string> names = dead_links_in(tree.folder());
  std::erase_if(names, [](const std::string& name) { return split_role(name).has_value(); });
  return names;
}

// A warning for each of these names in `folder`, which are no folders.
std::vector<std::string> warnings_about(const fs::path& folder, const std::vector<std::string>& names) {
  constexpr std::size_t most_warnings = 5;
  std::vector<std::string> warnings;
  for (const std::string& name : names) {
    if (warnings.size() == most_warnings) break;
    const fs::path place = folder / name;
    warnings.push_back(fmt::format("warning: {} is not used: it is {}", place.string(), no_folder_text(place)));
  }
  if (names.size() > most_warnings)
    warnings.push_back(fmt::format("warning: {}: {} not used either, because no folder is there",
                                   folder.string(),
                                   counted(names.size() - most_warnings, "more such name") +
                                       (names.size() == most_warnings + 1 ? " is" : " are")));
  return warnings;
}

}  // namespace

void check_no_dead_class(const ClassTree& tree) {
  for (const std::string& name : dead_links_beside_classes(tree))
    check(is_like_file_name(name) || is_circular_link(tree.folder() / name), ExitCode::data,
          "{}: it is {}; bring that folder back (is its disk mounted?), or remove the link to train without "
          "this class",
          (tree.folder() / name).string(), dead_link_text(tree.folder() / name));
}

std::vector<std::string> warnings_of_dead_classes(const ClassTree& tree) {
  return warnings_about(tree.folder(), dead_links_beside_classes(tree));
}

std::vector<std::string> warnings_of_missing_classes(const ClassTree& tree,
                                                     const std::vector<std::string>& classes) {
  const std::vector<std::string> missing = names_without(classes, tree.names());
  std::vector<std::string> names = list_named(tree.folder(), [&](const std::string& name) {
    return split_role(name) || std::binary_search(missing.begin(), missing.end(), name);
  });
  std::erase_if(names, [&](const std::string& name) { return !is_no_folder(tree.folder() / name); });
  const std::vector<std::string> dead = dead_links_in(tree.folder());
  names.insert(names.end(), dead.begin(), dead.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return warnings_about(tree.folder(), names);
}

std::string warning_of_extra_folders(const fs::path& evaluation, const std::vector<std::string>& extra,
                                     const ClassTree& train) {
  if (extra.empty()) return {};
  std::string text =
      extra.size() == 1
          ? fmt::format("warning: {}: left out, because train does not have this class",
                        (evaluation / extra.front()).string())
          : fmt::format("warning: {}: {} folders left out, because train does not have these classes: {}",
                        evaluation.string(), extra.size(), quoted_names(extra));
  if (const std::string in_other_case = names_in_other_case(extra, train.names()); !in_other_case.empty())
    text += "; " + in_other_case;
  const auto place = [&](const std::string& name) { return train.folder() / name; };
  const auto missing = std::find_if(extra.begin(), extra.end(),
                                    [&](const std::string& name) { return is_no_folder(place(name)); });
  if (missing != extra.end())
    text += fmt::format("; {} is {}", place(*missing).string(), no_folder_text(place(*missing)));
  return text;
}

std::string warning_of_dead_links(const fs::path& class_folder, const ClassTree::Content& content) {
  if (content.dead_links.empty()) return {};
  const fs::path first = class_folder / content.dead_links.front();
  const std::string more =
      content.dead_links.size() == 1
          ? std::string()
          : fmt::format(", as {} in this class", counted(content.dead_links.size() - 1, "other link"));
  return fmt::format("warning: {} is not used: it is {}{}", first.string(), dead_link_text(first), more);
}

void SplitsBelowClasses::add(const ClassTree::Content& of_class) {
  if (!may_be_so_) return;
  may_be_so_ = !of_class.images.empty();
  for (const std::string& path : of_class.images) {
    const std::size_t slash = path.find('/');
    std::string folder = slash == std::string::npos ? std::string() : path.substr(0, slash);
    if (!names_.empty() && names_.back() == folder) continue;  // most are in the folder of the one before
    may_be_so_ = split_role(folder).has_value();
    if (!may_be_so_) return;
    names_.push_back(std::move(folder));
  }
  std::sort(names_.begin(), names_.end());
  names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
}

std::string SplitsBelowClasses::warning(const fs::path& dir, const fs::path& classes) const {
  if (!may_be_so_ || names_.size() < 2) return {};  // with one name there is no other split to keep apart
  std::vector<std::string> places;
  for (const std::string& name : names_) places.push_back((dir / name / "<class>").string());
  return fmt::format(
      "warning: the classes of {} have folders {}, and all of their images are used as one set; if these are "
      "splits, "
      "move them to {}",
      classes.string(), quoted_names(names_), fmt::join(places, ", "));
}

}  // namespace kindred::detail
