// The curves of one run, or of several over each other, as JSON for charts.js.
#pragma once

#include <kindred/apps/report/metric_table.h>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct CurvesOf {
  std::string name{};  // of the run, plain text
  const MetricTable* metrics = nullptr;
  std::optional<std::int64_t> best_epoch{};
  std::optional<double> neighbours_chance{};  // if the lines do not say it
};

inline constexpr std::size_t most_points = 600;  // of a curve

// The curves that the runs have measured, a chart each:
//   {"id": "loss", "title": ..., "note": ..., "format": "number" | "share" | "count",
//    "lines": [{"label": ..., "run": 0, "role": "main" | "reference", "x": [epochs], "y": [...],
//               "lower": [...], "upper": [...], "best": [epoch, y]}]}
// "lower" and "upper" are a band of one standard deviation. With several runs each chart has one line for each run. Numbers
// have seven digits. A curve has at most `most` (8 or more) points (decimated()).
nlohmann::json charts_of(const std::vector<CurvesOf>& runs, std::size_t most = most_points);

// The positives of anchors as bars: {"id", "title", "note", "x": [...], "y": [...]}; null if no epoch has said them. Beyond 60 bars
// neighbouring ones are joined.
nlohmann::json positives_chart(const MetricTable& metrics);

// The cosines of the newest epoch as such bars, a chart for each kind of pair that was measured, in equal bins from -1 to 1.
nlohmann::json similarity_charts(const MetricTable& metrics);

// At most `most` (8 or more) of the points, in their order: the first and the last one, that at `keep`, and of equal stretches
// between them those with the least and the largest y, so that no peak is lost. Indices into y, whose values are finite.
std::vector<std::size_t> decimated(const std::vector<double>& y, std::size_t most,
                                   std::optional<std::size_t> keep = {});

}  // namespace kindred
