// Reading a whole data set to see what is in it.
#pragma once

#include <kindred/data/dataset.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kindred {

// What was found of one sample.
struct SampleFinding {
  Outcome outcome = Outcome::rejected;
  ImageFormat format = ImageFormat::none;
  bool raw = false;  // its pixels are stored as they are
  int height = 0, width = 0;
  std::uint64_t hash = 0;  // of its bytes; 0 where they could not be read
  std::string reason;      // where it is not ok
};

struct OutcomeCounts {
  std::int64_t ok = 0, damaged = 0, rejected = 0;
  std::int64_t files() const { return ok + damaged + rejected; }
};

struct SplitSurvey {
  std::string name;  // "train", "evaluation", "files"
  Dataset set;
  std::vector<SampleFinding> samples;  // [set.size()]

  OutcomeCounts counts() const;
  std::map<std::string, OutcomeCounts> counts_by_format() const;
  std::vector<OutcomeCounts> counts_by_class() const;  // [set.classes()]
};

// Decodes every image on all cores. Shows progress.
SplitSurvey survey(const std::string& name, const Dataset& set);

// Something that its owner may not know of.
struct OddThing {
  std::string name, what;
};

// Rejected and damaged images, names that say another format than the content, the same content twice (in two
// classes, or in training and evaluation, or within a class), and files below `dir` that are not part of the
// set.
std::vector<OddThing> odd_things(const std::vector<SplitSurvey>& splits, const std::string& dir);

// Why training would not accept the set; empty when it would. The same limits as pretrain's.
std::string training_problem(const SplitSurvey& train, std::int64_t max_bad, bool strict);

}  // namespace kindred
