// The files of a run, as a report reads them. Each may be missing, cut off or hostile.
#pragma once

#include <kindred/apps/report/metric_table.h>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// What a run keeps as its best epoch.
struct KeptBest {
  std::int64_t epoch = 0;  // 0: none
  std::string by{};        // "classifier", "neighbours" or "loss"; empty: not known
};

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
  bool was_not_finite = false;       // it ended because of a loss, a gradient or weights that are not finite
  bool lists_not_finite = false;     // RUN/non_finite.json is there
  bool has_failed = false;           // another error has ended it: only the run itself knows
  bool was_stopped = false;          // by a signal, also if it has all of its epochs: only the run itself knows
  bool ended_early = false;          // --early-stop has ended it
  std::optional<KeptBest> best{};    // nothing: the run's files do not say it

  // A text or number of config.json; nothing if it is not there or of another type.
  std::optional<std::string> text(const char* key) const;
  std::optional<double> number(const char* key) const;
  // Whether the lines are of as many epochs as config.json asks for.
  bool has_all_epochs() const;
};

// Throws Error(file), which says what is missing and what to give, if no epoch of a run can be read in the folder. Everything
// else that cannot be read is a note, and so are epochs that are missing.
RunFiles read_run_files(const std::filesystem::path& folder);

// config.json and the result of a probe, for a run whose lines are known already. What cannot be read is a note.
void read_settings_of_run(RunFiles& run);

// Its lines as the file of metrics has them. The last one may be cut in the middle: the run is writing it, or was killed there.
// Adds notes about lines that are left out, and about epochs without a line. Ends at the line that would be about one more than
// `most` epochs: each of them takes some hundred bytes of memory, and a line may have no more than ten.
MetricTable read_metric_lines(const std::filesystem::path& file, std::vector<std::string>& notes,
                              std::size_t most = 1'000'000);

// Names for several runs: those of their folders, with the folders above them as far as that tells equal ones apart.
std::vector<std::string> names_of_runs(const std::vector<std::filesystem::path>& folders);

}  // namespace kindred
