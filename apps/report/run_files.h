// The files of a run, as a report reads them. Each may be missing, cut off or hostile.
#pragma once

#include <kindred/apps/report/metric_table.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct RunFiles {
  std::filesystem::path folder{};
  std::string name{};  // of the folder, plain text that may hold anything
  MetricTable metrics{};
  nlohmann::json config = nlohmann::json::object();  // empty: there is none that can be read
  nlohmann::json probe = nullptr;                    // RUN/probe/result.json; null: there is none
  // Neighbours before the first step, which the newest checkpoint says.
  std::optional<double> untrained{};
  std::vector<std::string> notes{};  // what could not be read, a sentence each
  bool is_under_way = false;         // another process holds the run
  bool was_not_finite = false;       // it ended because of a loss or gradient that is not finite
  bool ended_early = false;          // --early-stop has ended it

  // A text or number of config.json; nothing if it is not there or of another type.
  std::optional<std::string> text(const char* key) const;
  std::optional<double> number(const char* key) const;
};

// Throws Error(file), which says what is missing, if no epoch of a run can be read in the folder. Everything else that cannot be
// read is a note.
RunFiles read_run_files(const std::filesystem::path& folder);

// config.json and the result of a probe, for a run whose lines are known already. What cannot be read is a note.
void read_settings_of_run(RunFiles& run);

// Its lines as the file of metrics has them. The last one may be cut in the middle: the run is writing it, or was killed there.
// Adds a note about lines that are left out.
MetricTable read_metric_lines(const std::filesystem::path& file, std::vector<std::string>& notes);

// Names for several runs: those of their folders, with the folders above them as far as that tells equal ones apart.
std::vector<std::string> names_of_runs(const std::vector<std::filesystem::path>& folders);

}  // namespace kindred
