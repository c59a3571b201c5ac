// What several runs have come to, beside each other.
#pragma once

#include <kindred/apps/report/run_files.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

enum class Better : std::uint8_t { neither, higher, lower };

struct ResultRow {
  std::string name{};
  std::string format{};  // "share", "number", "count", "seconds"
  Better better = Better::neither;
  std::vector<std::optional<double>> values{};  // of each run

  // Whether this run has the best value: one that another run has too counts, but not one that all have.
  bool is_best(std::size_t run) const;
  // The value as text; empty if there is none.
  std::string text(std::size_t run) const;
};

// Rows that at least one run has a value for. Losses are only compared (Better) where the runs have the same loss, temperature,
// batch size, views and queue, and accuracies where all runs say on what they are evaluated, and it is the same: part and number of
// images, of a set with one fingerprint.
std::vector<ResultRow> result_rows(const std::vector<RunFiles>& runs);

// The results, and the settings that differ, as tables; the settings that all share are folded up below them.
std::string comparison_tables(const std::vector<RunFiles>& runs, bool shows_settings = true);

}  // namespace kindred
