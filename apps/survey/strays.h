// Files that lie in a data set and are not part of it.
#pragma once

#include <kindred/apps/survey/survey.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct Strays {
  std::vector<OddThing> odd{};
  std::int64_t unlisted_images = 0;  // in `dir`, by the endings of their names; 0 without a list
};

// The files below `dir` that no sample is read from, sorted by their paths. Links are followed as the set follows them.
// A folder without a single sample is one entry, which says how many files it holds. Left out are files that lie
// directly in `dir` (a README beside train/ is not unusual), files that give labels, and folders for evaluation that
// are not used (also flat_test_folder(), folders/split_folders.h), which a note of the set names. Empty if the set does not
// consist of files in `dir`.
//
// `list` is the file that names the images (--labels), or empty. With one, images that it does not name are counted and
// not odd: it is there to select. Throws Error(data) if it cannot be read.
Strays find_strays(const std::vector<SplitSurvey>& splits, const std::string& dir, const std::string& list);

}  // namespace kindred
