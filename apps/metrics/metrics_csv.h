// metrics.csv, for spreadsheets.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kindred {

// A header and a row for each line of metrics.jsonl: the columns "epoch" and "time", and then every number that any line has,
// by the names of visit_metrics() and in their order. A number that a line does not have leaves its place empty.
std::string metrics_as_csv(const std::vector<nlohmann::json>& lines);

}  // namespace kindred
