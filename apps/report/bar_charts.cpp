#include <kindred/apps/report/curves.h>
#include <kindred/losses/diagnostics/diagnostics.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <array>

namespace kindred {

nlohmann::json positives_chart(const MetricTable& metrics) {
  constexpr std::size_t most_bars = 60;
  const auto& bars = metrics.positives;
  if (bars.empty()) return nullptr;
  const std::int64_t first = bars.front().first;
  const auto range = static_cast<std::size_t>(bars.back().first - first) + 1;
  const std::size_t width = (range + most_bars - 1) / most_bars;
  std::vector<std::int64_t> anchors((range + width - 1) / width);
  for (const auto& [positives, count] : bars)
    anchors[static_cast<std::size_t>(positives - first) / width] += count;
  nlohmann::json x = nlohmann::json::array();
  for (std::size_t bar = 0; bar < anchors.size(); ++bar) {
    const std::int64_t from = first + static_cast<std::int64_t>(bar * width);
    x.push_back(width == 1 ? fmt::format("{}", from)
                           : fmt::format("{}-{}", from, from + static_cast<std::int64_t>(width) - 1));
  }
  return {{"id", "positives-bars"},
          {"title", "Anchors by their number of positives"},
          {"note", "In the last batch of the newest epoch."},
          {"xLabel", "positives"},
          {"yLabel", "anchors"},
          {"x", std::move(x)},
          {"y", anchors}};
}

nlohmann::json similarity_charts(const MetricTable& metrics) {
  constexpr const char* groups[][3] = {
      {"own-views", "Cosines of views of one image", "Views of one image should be alike: near 1."},
      {"other-positives", "Cosines of other images of a class", "These are pulled together."},
      {"negatives", "Cosines of images of other classes", "These are pushed apart."}};
  nlohmann::json charts = nlohmann::json::array();
  for (std::size_t group = 0; group < metrics.similarities.size(); ++group) {
    const auto& cosines = metrics.similarities[group];
    if (cosines.empty()) continue;
    std::array<std::int64_t, cosine_bins> pairs{};
    for (const auto& [cosine, count] : cosines) pairs[cosine_bin(cosine)] += static_cast<std::int64_t>(count);
    nlohmann::json x = nlohmann::json::array(), y = nlohmann::json::array();
    for (int bin = 0; bin < cosine_bins; ++bin) {
      x.push_back(fmt::format("{:.2f}", 2.0 * bin / cosine_bins - 1));
      y.push_back(pairs[static_cast<std::size_t>(bin)]);
    }
    charts.push_back(
        {{"id", fmt::format("cosines-{}", groups[group][0])},
         {"title", groups[group][1]},
         {"note", fmt::format("{} In the last batch of the newest epoch; a bar begins at its number.",
                              groups[group][2])},
         {"xLabel", "cosine"},
         {"yLabel", "pairs"},
         {"x", std::move(x)},
         {"y", std::move(y)}});
  }
  return charts;
}

}  // namespace kindred
