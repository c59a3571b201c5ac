// Which folders of a set are for training and which for evaluation: their names say it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

enum class SplitRole { train, validation, test };

// train, training; val, valid, validation, dev, eval, evaluation; test, testing: in any letter case. Other names have no
// role.
std::optional<SplitRole> split_role(std::string_view name);

// The same for names that only resemble these, too: with numbers, signs and a word such as "set" or "images" behind them
// ("test1", "Testset", "train_images"). "test tube" has no role.
std::optional<SplitRole> split_role_like(std::string_view name);

// The folders of each role, the one to use first. The names count in the order above; the same name in lower case
// counts before others.
struct SplitFolders {
  std::vector<std::filesystem::path> train{}, validation{}, test{};
  std::vector<std::filesystem::path> no_folders{};  // what has such a name and is no folder (dead_links.h)
};

// The folders in `dir` that have a role. Beside two or more other folders with images, which are classes then, there are
// none but `no_folders` in these cases:
//   - none of them holds images, at any depth
//   - only one does, and it is flat_test_folder()
//   - only one does, and it is a class: there are images directly in it and in the others (which are not called "test1" or
//     the like), and no folder among them has folders with images, as a split would
// Throws Error(data) if `dir` cannot be listed.
SplitFolders find_split_folders(const std::filesystem::path& dir);

// The name of the folder in `dir` that holds images for tests without labels, beside class folders without a folder for
// training: the only one with images that is called like tests (split_role_like). Its images lie directly in it and in no
// folder in it, and two or more other folders with images are called like no split. Empty if there is none. Throws
// Error(data) if `dir` cannot be listed.
std::string flat_test_folder(const std::filesystem::path& dir);

}  // namespace kindred
