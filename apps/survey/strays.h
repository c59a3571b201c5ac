// Files that lie in a data set and are not part of it.
#pragma once

#include <kindred/apps/survey/survey.h>

#include <string>
#include <vector>

namespace kindred {

// The files below `dir` that no sample is read from, sorted by their paths. Links are followed as the set follows them.
// A folder without a single sample is one entry, which says how many files it holds. Left out are files that lie
// directly in `dir` (a README beside train/ is not unusual), files that give labels, and folders for evaluation that
// are not used, which a note of the set names. Empty if the set does not consist of files in `dir`.
std::vector<OddThing> find_strays(const std::vector<SplitSurvey>& splits, const std::string& dir);

}  // namespace kindred
