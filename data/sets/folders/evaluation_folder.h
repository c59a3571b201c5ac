// Which folder of a set the evaluation images come from.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/folders/split_folders.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred::detail {

struct EvaluationFolder {
  std::filesystem::path split{};  // DIR/val
  std::filesystem::path
      images{};  // if they lie in no class folders, the folder that holds them all: the same, or
                 // DIR/val/images; otherwise empty
  bool is_test = false;

  // Where the labels of such images may lie: in `others`, whose last one an error names, and beside the images.
  std::vector<std::filesystem::path> label_folders(std::vector<std::filesystem::path> others) const;
};

struct EvaluationChoice {
  std::optional<EvaluationFolder> folder{};      // empty: the set has nothing to evaluate on
  std::optional<EvaluationFolder> unlabelled{};  // the first one with images whose classes nothing says
  // There is a folder for evaluation without images, or without those of a class of train, or something else in its place.
  bool has_unfit = false;
  std::vector<std::string> notes{};  // what the owner of the set may not expect (Dataset::notes)
};

// For Split::val the first folder for validation that has images, for Split::test the first one for tests. For
// Split::evaluation the former, or else the first one for tests whose images have classes of `classes`, which are
// sorted. Folders of images whose classes nothing says, as those for tests often are, are left out and named; but a part
// that is asked for and has no others gets such a folder, and opening it says what it lacks. Does not throw for folders
// that cannot be listed: opening them says what is wrong.
EvaluationChoice choose_evaluation_folder(const SplitFolders& folders, Split evaluate_on,
                                          const std::vector<std::string>& classes,
                                          const std::vector<std::filesystem::path>& label_folders);

// "'Hat', 'Pants' differ from 'hat', 'pants' of train only in the case of letters": the folders whose names do, if there are
// any; otherwise empty.
std::string names_in_other_case(const std::vector<std::string>& folders,
                                const std::vector<std::string>& classes);

// The warning for a folder for evaluation that is the one for training, by a link; empty if it is another one.
std::string same_folder_warning(const std::filesystem::path& evaluation, const std::filesystem::path& train);

// The warning for a member of SplitFolders::no_folders. `meaning` says which images are used in place of those that it
// stands for.
std::string warning_of_missing_split(const std::filesystem::path& place, const std::string& meaning);
// The same for each that may be the folder for training, or the one that `evaluate_on` stands for. Training is on `train`,
// and evaluation on the folder `evaluation`, or on a part of train if that is empty.
std::vector<std::string> warnings_of_missing_splits(const SplitFolders& folders,
                                                    const std::filesystem::path& train,
                                                    const std::filesystem::path& evaluation, Split evaluate_on);

// The note for a set of which images are held out, so that these folders are not used. Empty if it has none.
std::vector<std::string> notes_of_unused_evaluation(const SplitFolders& folders);

}  // namespace kindred::detail
