// How many images each class has, as charts and tables show it.
#pragma once

#include <kindred/apps/survey/survey.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct ClassCounts {
  std::vector<std::string> names{};                // [classes], in the order of the set
  std::vector<std::string> splits{};               // "train", "evaluation"
  std::vector<std::vector<std::int64_t>> files{};  // [splits][classes]
  std::int64_t of_split(std::size_t split) const;  // all of it
};
ClassCounts count_classes(const std::vector<SplitSurvey>& splits);

// The classes that a chart has room for.
struct ShownClasses {
  std::vector<std::size_t>
      first{};  // all, in the order of the set; or the largest, by their images in the first split
  std::vector<std::size_t> last{};  // the smallest, in the same order; empty where all are shown
};
ShownClasses classes_to_show(const ClassCounts& counts, std::size_t most);

}  // namespace kindred
