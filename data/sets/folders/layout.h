// What a folder is that has no folder for training: class folders alone, other images, or no set at all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

// The class folders of `dir`, which has no folder for training: the folders with images, if they are two or more.
// Empty if something says that `dir` is no set: it has a folder for evaluation, a folder in it is a set, or `dir`
// itself is a folder for training or evaluation of a set. Throws Error(data).
std::vector<std::string> classes_alone(const std::filesystem::path& dir);

// The folders with images in `dir`, without flat_test_folder(); also a single one, and whatever `dir` is itself: a folder
// for training or evaluation of a set, too. Empty if holds_sets(dir), or if there are none. Throws Error(data).
std::vector<std::string> all_classes(const std::filesystem::path& dir);

// Whether a folder in `dir` is a set, or for training or evaluation: then `dir` is not one folder of images. Throws
// Error(data) if it cannot be listed.
bool holds_sets(const std::filesystem::path& dir);

// What to add to an error if the folders `names` in `dir`, which are called as splits are, may have been meant as classes
// though this is not clear (split_folders.h): "; class folders cannot ...". Empty if there are none, or if no other folder
// in `dir` holds images. Throws Error(data).
std::string hint_about_names(const std::filesystem::path& dir, const std::vector<std::string>& names);

// Throws Error(data), which says why `dir` is no set and, if the set is one level above or below, where it is.
[[noreturn]] void fail_no_set(const std::filesystem::path& dir);

}  // namespace kindred::detail
