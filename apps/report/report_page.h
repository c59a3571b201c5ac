// The page of a run, and that of several.
#pragma once

#include <kindred/apps/report/curves.h>
#include <kindred/apps/report/images/seen.h>
#include <kindred/apps/report/run_files.h>
#include <kindred/apps/training/accuracies.h>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// No page is larger, in bytes. Where it would be, the map loses its pictures, then parts go, the largest first; curves of many runs
// lose points.
inline constexpr std::size_t most_page_bytes = 5'000'000;

// Stands in a page that no other one follows (ReportOptions::is_last), and in no other: quotes in names and values are escaped.
inline constexpr const char* mark_of_last_page = "data-run=\"ended\"";

struct ReportOptions {
  std::string drawn{};               // when: "2025-03-01T09:30:00Z"
  std::optional<Chance> chance{};    // on all images to evaluate on, if the set is known
  const Seen* seen = nullptr;        // what the page shows of images; null: nothing
  std::vector<std::string> notes{};  // shown with those of the run
  bool is_last = false;              // the run has ended, and the page shows all that there is
};

// The numbers that its scripts draw: {"charts": [...], "bars": [...], "confusion": {...}, "map": {...}}.
nlohmann::json data_of_run(const RunFiles& run, const ReportOptions& options);
nlohmann::json data_of_runs(const std::vector<RunFiles>& runs, std::size_t most_of_curve = most_points);

// The whole file.
std::string page_of_run(const RunFiles& run, const ReportOptions& options);
std::string page_of_runs(const std::vector<RunFiles>& runs, const ReportOptions& options);

}  // namespace kindred
