// What a run of stage one is made of, for those that begin it, take its results, report, save and end it.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/device.h>

#include <optional>

namespace kindred {

class BatchSource;
class Learner;
class OutputFolder;
class RunRecord;
struct PretrainOptions;

// All of them must outlive whoever keeps a copy of this.
struct RunParts {
  const PretrainOptions& options;
  Device device;
  OutputFolder& folder;  // of the first process; the others have one that holds nothing
  const Dataset& train;
  const std::optional<Dataset>& evaluation;
  BatchSource& batches;
  Learner& learner;
  RunRecord& record;
  const Communicator& processes = world();
};

}  // namespace kindred
