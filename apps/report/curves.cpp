#include <kindred/apps/report/curves.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

namespace kindred {
namespace {

struct CurveLine {
  const char* measure;
  const char* label;
  const char* deviation = nullptr;  // the measure that gives the band
  bool is_reference = false;        // not of the run itself: chance
  bool hides_zeros = false;         // a curve that is zero everywhere is left out: nothing is wrong
};

struct CurveChart {
  const char* id;
  const char* title;
  const char* format;  // "number", "share" of one, "count"
  const char* note;
  std::vector<CurveLine> lines;
};

const std::vector<CurveChart>& curve_charts() {
  static const std::vector<CurveChart> all = {
      {"loss",
       "Loss",
       "number",
       "Mean of an epoch. Chance is the loss if all features were equal.",
       {{"loss", "loss"}, {"chance_loss", "chance", nullptr, true}}},
      {"neighbours",
       "Nearest neighbours",
       "share",
       "Share of the evaluation images whose nearest training images vote for their class.",
       {{"knn_top1", "neighbours"}, {"knn_chance", "chance", nullptr, true}}},
      {"classifier",
       "Classifier",
       "share",
       "Share of the evaluation images whose class has the highest score, or one of the five highest.",
       {{"classifier_top1", "top 1"}, {"classifier_top5", "top 5"}}},
      {"probe",
       "Online probe",
       "share",
       "Accuracy of the linear classifier that learns beside the encoder.",
       {{"probe_top1", "probe"}}},
      {"probe_loss", "Loss of the online probe", "number", "Mean of an epoch.", {{"probe_loss", "loss"}}},
      {"lr", "Learning rate", "number", "Of the last step of an epoch.", {{"lr", "learning rate"}}},
      {"speed",
       "Views per second",
       "count",
       "With everything that an epoch does, and of its steps alone.",
       {{"views_per_second", "whole epoch"}, {"step_views_per_second", "steps alone"}}},
      {"data_wait",
       "Waiting for data",
       "share",
       "Share of the time in which the device waited for a batch.",
       {{"data_wait", "waiting"}}},
      {"alignment",
       "Alignment",
       "number",
       "Mean squared distance of positives in the epoch's last batch; 0 is best.",
       {{"features/alignment", "alignment"}}},
      {"uniformity",
       "Uniformity",
       "number",
       "How evenly features spread: about -4 is well spread, 0 is collapse.",
       {{"features/uniformity", "uniformity"}}},
      {"effective_rank",
       "Effective rank",
       "number",
       "How many directions the features of the epoch's last batch use.",
       {{"features/effective_rank", "directions"}}},
      {"positives",
       "Positives per anchor",
       "number",
       "In the epoch's last batch.",
       {{"features/positives_mean", "mean"}, {"features/positives_min", "fewest"}}},
      {"lonely",
       "Anchors without positives",
       "count",
       "In the epoch's last batch.",
       {{"features/anchors_without_positives", "anchors", nullptr, false, true}}},
      {"similarity",
       "Similarities",
       "number",
       "Cosine of features in the epoch's last batch: mean, and one standard deviation around it.",
       {{"features/similarity_own_views/mean", "views of one image", "features/similarity_own_views/deviation"},
        {"features/similarity_other_positives/mean", "other images of its class",
         "features/similarity_other_positives/deviation"},
        {"features/similarity_negatives/mean", "images of other classes",
         "features/similarity_negatives/deviation"}}},
      {"skipped",
       "Skipped steps",
       "count",
       "Steps without an update, because a loss or gradient was not finite.",
       {{"skipped_steps", "steps", nullptr, false, true}}},
      {"seconds", "Time of an epoch", "number", "In seconds.", {{"seconds", "seconds"}}},
      {"gradients",
       "Waiting for gradients",
       "number",
       "Milliseconds of a step in which the process waited for the others.",
       {{"gradients/wait_ms", "ms"}}}};
  return all;
}

// Seven digits are more than a chart can show, and a third of the bytes.
double seven_digits(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  return std::strtod(fmt::format("{:.7g}", value).c_str(), nullptr);
}

nlohmann::json values_at(const std::vector<double>& values, const std::vector<std::size_t>& rows) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::size_t row : rows) list.push_back(seven_digits(values[row]));
  return list;
}

// All finite values of a measure; null if there is none, or nothing to see.
nlohmann::json curve_line(const CurvesOf& run, const CurveLine& line, std::size_t most) {
  const MetricTable& metrics = *run.metrics;
  const std::vector<double>* const column = metrics.find(line.measure);
  if (column == nullptr) return nullptr;
  const bool is_zero =
      std::none_of(column->begin(), column->end(), [](double v) { return std::isfinite(v) && v != 0; });
  if (line.hides_zeros && is_zero) return nullptr;
  std::vector<std::size_t> rows;
  std::vector<double> y;
  std::optional<std::size_t> best;
  for (std::size_t row = 0; row < column->size(); ++row) {
    if (!std::isfinite((*column)[row])) continue;
    if (run.best_epoch == metrics.epochs[row]) best = rows.size();
    rows.push_back(row);
    y.push_back((*column)[row]);
  }
  std::vector<std::size_t> shown;
  for (const std::size_t point : decimated(y, most, best)) shown.push_back(rows[point]);
  nlohmann::json epochs = nlohmann::json::array();
  for (const std::size_t row : shown) epochs.push_back(metrics.epochs[row]);
  nlohmann::json curve = {{"label", line.label},
                          {"role", line.is_reference ? "reference" : "main"},
                          {"x", std::move(epochs)},
                          {"y", values_at(*column, shown)}};
  if (best && !line.is_reference) curve["best"] = {metrics.epochs[rows[*best]], seven_digits(y[*best])};
  if (line.deviation != nullptr && metrics.find(line.deviation) != nullptr) {
    nlohmann::json lower = nlohmann::json::array(), upper = nlohmann::json::array();
    for (const std::size_t row : shown) {
      const double width = metrics.at(line.deviation, row).value_or(0);
      lower.push_back(seven_digits((*column)[row] - width));
      upper.push_back(seven_digits((*column)[row] + width));
    }
    curve["lower"] = std::move(lower);
    curve["upper"] = std::move(upper);
  }
  return curve;
}

// Chance as a level, where the lines do not say it.
nlohmann::json chance_level(const CurvesOf& run) {
  const std::vector<std::int64_t>& epochs = run.metrics->epochs;
  const double chance = seven_digits(*run.neighbours_chance);
  return {{"label", "chance"},
          {"role", "reference"},
          {"x", {epochs.front(), epochs.back()}},
          {"y", {chance, chance}}};
}

nlohmann::json chart_frame(const CurveChart& chart, const std::string& id, const std::string& title) {
  return {{"id", id},
          {"title", title},
          {"note", chart.note},
          {"format", chart.format},
          {"lines", nlohmann::json::array()}};
}

nlohmann::json chart_of_one(const CurveChart& chart, const CurvesOf& run, std::size_t most) {
  nlohmann::json drawn = chart_frame(chart, chart.id, chart.title);
  bool has_main = false, has_reference = false;
  for (const CurveLine& line : chart.lines) {
    nlohmann::json curve = curve_line(run, line, most);
    if (curve.is_null()) continue;
    (line.is_reference ? has_reference : has_main) = true;
    curve["run"] = 0;
    drawn["lines"].push_back(std::move(curve));
  }
  if (!has_main) return nullptr;
  if (std::string(chart.id) == "neighbours" && !has_reference && run.neighbours_chance) {
    nlohmann::json level = chance_level(run);
    level["run"] = 0;
    drawn["lines"].push_back(std::move(level));
  }
  return drawn;
}

// Each measure of the chart has a chart of its own, with a line for each run.
void add_charts_of_several(const CurveChart& chart, const std::vector<CurvesOf>& runs, std::size_t most,
                           nlohmann::json& charts) {
  std::size_t drawn_of_chart = 0;
  for (const CurveLine& line : chart.lines) {
    if (line.is_reference) continue;
    const bool is_first = drawn_of_chart == 0;
    nlohmann::json drawn =
        chart_frame(chart, is_first ? chart.id : fmt::format("{}-{}", chart.id, drawn_of_chart + 1),
                    chart.lines.size() == 1 || (is_first && chart.lines[1].is_reference)
                        ? chart.title
                        : fmt::format("{}: {}", chart.title, line.label));
    for (std::size_t r = 0; r < runs.size(); ++r) {
      nlohmann::json curve = curve_line(runs[r], line, most);
      if (curve.is_null()) continue;
      curve.erase("lower");  // bands over each other hide what they are about
      curve.erase("upper");
      curve["label"] = runs[r].name;
      curve["run"] = r;
      drawn["lines"].push_back(std::move(curve));
    }
    if (drawn["lines"].empty()) continue;
    ++drawn_of_chart;
    charts.push_back(std::move(drawn));
  }
}

}  // namespace

std::vector<std::size_t> decimated(const std::vector<double>& y, std::size_t most,
                                   std::optional<std::size_t> keep) {
  std::vector<std::size_t> points;
  if (y.size() <= most) {
    for (std::size_t i = 0; i < y.size(); ++i) points.push_back(i);
    return points;
  }
  const std::size_t stretches = (most - 3) / 2, inner = y.size() - 2;
  points.push_back(0);
  for (std::size_t s = 0; s < stretches; ++s) {
    const auto begin = y.begin() + static_cast<std::ptrdiff_t>(1 + s * inner / stretches),
               end = y.begin() + static_cast<std::ptrdiff_t>(1 + (s + 1) * inner / stretches);
    const auto [least, largest] = std::minmax_element(begin, end);
    points.push_back(static_cast<std::size_t>(least - y.begin()));
    points.push_back(static_cast<std::size_t>(largest - y.begin()));
  }
  points.push_back(y.size() - 1);
  if (keep) points.push_back(*keep);
  std::sort(points.begin(), points.end());
  points.erase(std::unique(points.begin(), points.end()), points.end());
  return points;
}

nlohmann::json charts_of(const std::vector<CurvesOf>& runs, std::size_t most) {
  nlohmann::json charts = nlohmann::json::array();
  for (const CurveChart& chart : curve_charts()) {
    if (runs.size() > 1) {
      add_charts_of_several(chart, runs, most, charts);
    } else if (runs.size() == 1) {
      if (nlohmann::json drawn = chart_of_one(chart, runs.front(), most); !drawn.is_null())
        charts.push_back(std::move(drawn));
    }
  }
  return charts;
}

}  // namespace kindred
