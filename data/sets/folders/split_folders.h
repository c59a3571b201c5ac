// Which folders of a set are for training and which for evaluation: their names say it.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace kindred {

enum class SplitRole { train, validation, test };

// train, training; val, valid, validation, dev, eval, evaluation; test, testing: in any letter case. Other names have no
// role.
std::optional<SplitRole> split_role(std::string_view name);

// The folders of each role, the one to use first. The names count in the order above; the same name in lower case
// counts before others.
struct SplitFolders {
  std::vector<std::filesystem::path> train, validation, test;
};

// The folders in `dir` that have a role. None if the only one with such a name is a class: there are images directly in
// it and in two or more other folders (which are not called "test1" or the like), and no folder among them has folders
// with images, as a split would. Throws Error(data) if `dir` cannot be listed.
SplitFolders find_split_folders(const std::filesystem::path& dir);

}  // namespace kindred
