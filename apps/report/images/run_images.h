// The images that a run is trained and evaluated on, opened again from what its config.json says.
#pragma once

#include <kindred/apps/report/run_files.h>
#include <kindred/data/sets/dataset.h>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct RunImages {
  Dataset train;
  std::optional<Dataset> evaluation{};
  // Whether they are those of the run, as far as its config.json tells: the fingerprint, and how many there are to evaluate on.
  bool are_of_run = false;
};

// `given`: the set's place in the place of the one that config.json names; empty: that one. Relative paths are meant from the
// folder in which the run was started, or if they lead nowhere there from the current one. Throws Error(data) or another Error with one
// line that says what is missing. Commands of shards (pipe:) are not run, because nobody has typed them here.
RunImages open_run_images(const RunFiles& run, const std::string& given, std::vector<std::string>& notes);

}  // namespace kindred
