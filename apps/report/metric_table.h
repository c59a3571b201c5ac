// What a run measured, epoch by epoch, as columns of numbers.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// The lines of metrics.jsonl. Only the measures that a report knows are kept (measures()), so that a line with anything else in it
// takes no memory.
struct MetricTable {
  std::vector<std::int64_t> epochs{};  // ascending, each once
  std::map<std::string, std::vector<double>>
      columns{};  // by the path in a line ("features/uniformity"); NaN: not measured
  // Of the newest epoch that has it: how many anchors have how many positives.
  std::vector<std::pair<std::int64_t, std::int64_t>> positives{};
  // Of the newest epoch: how many cosines lie about a value, for views of one image, other images of its class, and images of
  // other classes. Empty: not measured.
  std::array<std::vector<std::pair<double, double>>, 3> similarities{};
  std::string ended{};  // "time" of the newest epoch: "2025-03-01T09:30:00Z"

  std::size_t rows() const { return epochs.size(); }
  // The column, or null if no epoch has a number there.
  const std::vector<double>* find(const std::string& measure) const;
  // The number of a row; nothing if it was not measured.
  std::optional<double> at(const std::string& measure, std::size_t row) const;
  // The newest row that has this number; nothing if none has.
  std::optional<std::size_t> newest_with(const std::string& measure) const;
};

// Takes lines in the order of the file. Of two lines about one epoch the later one counts: a run that was killed measures its
// last epochs again.
class MetricLines {
 public:
  // Returns false if the line is no object, or has no epoch from 1 to a billion; then it is left out.
  bool add(const nlohmann::json& line);
  std::size_t epochs() const { return rows_.size(); }
  // Whether the line is about an epoch that none was about so far.
  bool would_be_new(const nlohmann::json& line) const;
  MetricTable table() const;

 private:
  std::map<std::int64_t, std::vector<double>> rows_;  // by epoch, in the order of measures()
  std::vector<std::pair<std::int64_t, std::int64_t>> positives_;
  std::int64_t positives_of_ = 0;
  std::array<std::vector<std::pair<double, double>>, 3> similarities_;
  std::int64_t similarities_of_ = 0;
  std::map<std::int64_t, std::string> times_;  // of the newest epoch alone
};

// Which epochs from 1 to the last one are missing, as a sentence about `file` ("metrics.jsonl"): "3 epochs have no line in ...:
// 4 and 7 to 8; ...". A run writes a line for each. Empty if none is missing. `epochs`: ascending, each once, 1 or more.
std::string missing_epochs_in_words(const std::vector<std::int64_t>& epochs, const std::string& file);

// The paths of all numbers that a report draws or says.
const std::vector<std::string>& measures();

// The number at "features/uniformity" in a line; nothing if it is not there, of another type, or not finite.
std::optional<double> number_at(const nlohmann::json& line, const std::string& path);

}  // namespace kindred
