// What a folder is that has no folder for training: class folders alone, or no set at all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

// The class folders of `dir`, which has no folder for training: the folders with images, if they are two or more.
// Empty if something says that `dir` is no set: it has a folder for evaluation, a folder in it is a set, or `dir`
// itself is a folder for training or evaluation of a set. Throws Error(data).
std::vector<std::string> classes_alone(const std::filesystem::path& dir);

// Throws Error(data), which says why `dir` is no set and, if the set is one level above or below, where it is.
[[noreturn]] void fail_no_set(const std::filesystem::path& dir);

}  // namespace kindred::detail
