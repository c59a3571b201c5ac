// What the owner of a set may not know about its class folders: the notes of the set, and errors (dataset.h).
#pragma once

#include <kindred/data/sets/folders/class_tree.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

// Throws Error(data) if a link in `tree` that leads nowhere may stand for a class: without it the classes behind it would
// have other labels. Links that are called like splits, or like files, are none, nor are those that lead in a circle.
void check_no_dead_class(const ClassTree& tree);
// A warning for each link that leads nowhere, but not for those that are called like splits.
std::vector<std::string> warnings_of_dead_classes(const ClassTree& tree);
// The same where `tree` is the folder of a split: also for these links, and for files and other things that are no folders
// and are called like splits, or like those of `classes`, sorted, that have no folder.
std::vector<std::string> warnings_of_missing_classes(const ClassTree& tree,
                                                     const std::vector<std::string>& classes);
// The warning about `extra`, folders of classes in `evaluation` that `train` does not have; empty if there are none.
std::string warning_of_extra_folders(const std::filesystem::path& evaluation,
                                     const std::vector<std::string>& extra, const ClassTree& train);
// A warning about links in the folder of a class, whose images are missed; empty if there are none.
std::string warning_of_dead_links(const std::filesystem::path& class_folder, const ClassTree::Content& content);

// Finds out whether all images of the classes lie in folders of theirs that are called like splits: they are then used as
// one set, those for tests too.
class SplitsBelowClasses {
 public:
  void add(const ClassTree::Content& of_class);
  // `classes` is the folder of the classes, and `dir` the one that splits would lie in. Empty if it is not so, or if all of
  // these folders have one name.
  std::string warning(const std::filesystem::path& dir, const std::filesystem::path& classes) const;

 private:
  bool may_be_so_ = true;
  std::vector<std::string> names_;  // of the folders, sorted
};

}  // namespace kindred::detail
