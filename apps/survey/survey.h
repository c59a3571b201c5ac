// Reads a whole data set to find out what is in it.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kindred {

// What was found about one sample.
struct SampleFinding {
  Outcome outcome = Outcome::rejected;
  ImageFormat format = ImageFormat::none;
  bool raw = false;  // its pixels are stored without encoding
  int height = 0, width = 0;
  int orientation = 1;     // EXIF's number, whether it is applied or not (data/images/exif.h)
  std::uint64_t hash = 0;  // of its bytes; 0 if they could not be read
  std::string reason;      // set if it is not ok
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
  std::int64_t oriented() const;                       // readable images whose EXIF orientation is not upright
};

// Decodes every image, on all cores. Shows progress. Throws Error(interrupted) after a signal.
SplitSurvey survey(const std::string& name, const Dataset& set);

// A line about the images whose EXIF orientation is not upright, and what follows; empty if there are none. `exif` is how
// the set was read.
std::string describe_orientations(const std::vector<SplitSurvey>& splits, ExifMode exif);

// Something that the owner of the data set may not know.
struct OddThing {
  std::string name, what;
};

// Rejected and damaged images, names whose extension does not match the content, and the same content twice (in two
// classes, in training and evaluation, or within a class).
std::vector<OddThing> odd_things(const std::vector<SplitSurvey>& splits);

// Why training would not accept the set; empty if it would. The limits are those of pretrain; accepted_bad_images()
// accepts `max_bad`.
std::string training_problem(const SplitSurvey& train, const std::string& max_bad, bool strict);

}  // namespace kindred
