#include <kindred/apps/report/metric_table.h>

#include <kindred/engine/counted.h>
#include <kindred/losses/diagnostics/diagnostics.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindred {
namespace {

constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();
constexpr double most_epoch = 1e9, most_anchors = 1e12;
constexpr std::size_t most_histogram_bars = 4096, most_time_letters = 40;

// [[positives, anchors], ...] as far as it is that; empty if it is something else.
std::vector<std::pair<std::int64_t, std::int64_t>> positives_in(const nlohmann::json& line) {
  const auto features = line.find("features");
  if (features == line.end() || !features->is_object()) return {};
  const auto histogram = features->find("positives_histogram");
  if (histogram == features->end() || !histogram->is_array() || histogram->size() > most_histogram_bars)
    return {};
  const auto is_count = [](const nlohmann::json& value) {
    return value.is_number() && value.get<double>() >= 0 && value.get<double>() <= most_anchors;
  };
  std::map<std::int64_t, std::int64_t> bars;
  for (const nlohmann::json& bar : *histogram) {
    if (!bar.is_array() || bar.size() != 2 || !is_count(bar[0]) || !is_count(bar[1])) return {};
    bars[static_cast<std::int64_t>(bar[0].get<double>())] += static_cast<std::int64_t>(bar[1].get<double>());
  }
  return {bars.begin(), bars.end()};
}

// [[cosine, pairs], ...] of features/NAME/histogram as far as it is that; empty if it is something else.
std::vector<std::pair<double, double>> cosines_in(const nlohmann::json& line, const char* name) {
  const auto features = line.find("features");
  if (features == line.end() || !features->is_object()) return {};
  const auto group = features->find(name);
  if (group == features->end() || !group->is_object()) return {};
  const auto histogram = group->find("histogram");
  if (histogram == group->end() || !histogram->is_array() || histogram->size() > 2 * cosine_bins) return {};
  std::map<double, double> bars;
  for (const nlohmann::json& bar : *histogram) {
    if (!bar.is_array() || bar.size() != 2 || !bar[0].is_number() || !bar[1].is_number()) return {};
    const auto cosine = bar[0].get<double>(), pairs = bar[1].get<double>();
    if (!(std::abs(cosine) <= 1) || !(pairs >= 0 && pairs <= most_anchors)) return {};
    bars[cosine] += pairs;
  }
  return {bars.begin(), bars.end()};
}

std::optional<std::int64_t> epoch_of(const nlohmann::json& line) {
  const auto epoch = number_at(line, "epoch");
  if (!epoch || *epoch < 1 || *epoch > most_epoch || *epoch != std::floor(*epoch)) return std::nullopt;
  return static_cast<std::int64_t>(*epoch);
}

constexpr const char* similarity_names[] = {"similarity_own_views", "similarity_other_positives",
                                            "similarity_negatives"};

}  // namespace

const std::vector<std::string>& measures() {
  static const std::vector<std::string> all = {"loss",
                                               "chance_loss",
                                               "lr",
                                               "views_per_second",
                                               "step_views_per_second",
                                               "data_wait",
                                               "seconds",
                                               "knn_top1",
                                               "knn_chance",
                                               "knn_images",
                                               "probe_loss",
                                               "probe_top1",
                                               "classifier_top1",
                                               "classifier_top5",
                                               "skipped_steps",
                                               "processes",
                                               "gradients/wait_ms",
                                               "features/alignment",
                                               "features/uniformity",
                                               "features/effective_rank",
                                               "features/positives_min",
                                               "features/positives_mean",
                                               "features/anchors_without_positives",
                                               "features/similarity_own_views/mean",
                                               "features/similarity_own_views/deviation",
                                               "features/similarity_other_positives/mean",
                                               "features/similarity_other_positives/deviation",
                                               "features/similarity_negatives/mean",
                                               "features/similarity_negatives/deviation"};
  return all;
}

std::optional<double> number_at(const nlohmann::json& line, const std::string& path) {
  const nlohmann::json* at = &line;
  for (std::size_t begin = 0; begin <= path.size();) {
    if (!at->is_object()) return std::nullopt;
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto found = at->find(path.substr(begin, end - begin));
    if (found == at->end()) return std::nullopt;
    at = &*found;
    begin = end + 1;
  }
  if (!at->is_number()) return std::nullopt;
  const auto value = at->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::string missing_epochs_in_words(const std::vector<std::int64_t>& epochs, const std::string& file) {
  constexpr std::size_t most_named = 4;
  std::vector<std::string> gaps;
  std::int64_t missing = 0, last = 0;
  std::size_t more = 0;
  for (const std::int64_t epoch : epochs) {
    const std::int64_t first = last + 1, end = epoch - 1;
    last = epoch;
    if (first > end) continue;
    missing += end - first + 1;
    if (gaps.size() < most_named)
      gaps.push_back(first == end ? fmt::format("{}", first) : fmt::format("{} to {}", first, end));
    else
      ++more;
  }
  if (missing == 0) return "";
  std::string named;
  for (std::size_t i = 0; i < gaps.size(); ++i)
    named += (i == 0 ? "" : i + 1 == gaps.size() && more == 0 ? " and " : ", ") + gaps[i];
  if (more > 0) named += fmt::format(" and {}", counted(more, "more gap"));
  return fmt::format("{} {} no line in {}: {}; curves go straight over {}", counted(missing, "epoch"),
                     missing == 1 ? "has" : "have", file, named, missing == 1 ? "it" : "them");
}

const std::vector<double>* MetricTable::find(const std::string& measure) const {
  const auto found = columns.find(measure);
  return found == columns.end() ? nullptr : &found->second;
}

std::optional<double> MetricTable::at(const std::string& measure, std::size_t row) const {
  const std::vector<double>* const column = find(measure);
  if (column == nullptr || row >= column->size() || !std::isfinite((*column)[row])) return std::nullopt;
  return (*column)[row];
}

std::optional<std::size_t> MetricTable::newest_with(const std::string& measure) const {
  for (std::size_t row = rows(); row > 0; --row)
    if (at(measure, row - 1)) return row - 1;
  return std::nullopt;
}

bool MetricLines::would_be_new(const nlohmann::json& line) const {
  const auto number = epoch_of(line);
  return number && !rows_.contains(*number);
}

bool MetricLines::add(const nlohmann::json& line) {
  const auto epoch = epoch_of(line);
  if (!epoch) return false;
  const std::int64_t number = *epoch;
  std::vector<double> row;
  row.reserve(measures().size());
  for (const std::string& measure : measures()) row.push_back(number_at(line, measure).value_or(not_measured));
  rows_[number] = std::move(row);
  if (auto positives = positives_in(line); !positives.empty() && number >= positives_of_) {
    positives_ = std::move(positives);
    positives_of_ = number;
  }
  if (number >= similarities_of_) {
    for (std::size_t group = 0; group < similarities_.size(); ++group)
      similarities_[group] = cosines_in(line, similarity_names[group]);
    similarities_of_ = number;
  }
  const auto time = line.find("time");
  if (time != line.end() && time->is_string() && number == rows_.rbegin()->first)
    times_ = {{number, time->get_ref<const std::string&>().substr(0, most_time_letters)}};
  return true;
}

MetricTable MetricLines::table() const {
  MetricTable table;
  table.positives = positives_;
  table.similarities = similarities_;
  for (const auto& [epoch, row] : rows_) table.epochs.push_back(epoch);
  if (!times_.empty() && !rows_.empty() && times_.begin()->first == rows_.rbegin()->first)
    table.ended = times_.begin()->second;
  for (std::size_t m = 0; m < measures().size(); ++m) {
    std::vector<double> column;
    column.reserve(rows_.size());
    for (const auto& [epoch, row] : rows_) column.push_back(row[m]);
    if (std::any_of(column.begin(), column.end(), [](double value) { return std::isfinite(value); }))
      table.columns.emplace(measures()[m], std::move(column));
  }
  return table;
}

}  // namespace kindred
