// What a run of stage one is made of, for those that begin it, take its results, report, save and end it.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/device.h>
#include <kindred/engine/error.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace kindred {

class BatchSource;
class Learner;
class OutputFolder;
class RunRecord;
struct PretrainOptions;

// When the page of a run is drawn (--report): an epoch has ended; the run was stopped, and can go on; it has ended; an error ends it.
enum class PageMoment : std::uint8_t { epoch, stop, end, failed };

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
  // Draws the page. Those who draw it know of runs (apps/report), so a run is given this and cannot call them. It never throws.
  // `code` is that of the error, of a run that has failed. Empty: the program draws none.
  std::function<void(const RunParts& run, PageMoment moment, ExitCode code)> page{};

  void draw_page(PageMoment moment, ExitCode code = ExitCode::ok) const {
    if (page) page(*this, moment, code);
  }
};

}  // namespace kindred
