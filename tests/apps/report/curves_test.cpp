// The curves of a report: the numbers of the run, thinned out without losing a peak.
#include "drawn_runs.h"

#include <kindred/apps/report/curves.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace kindred {
namespace {

MetricTable table_of(const std::vector<nlohmann::json>& lines) {
  MetricLines read;
  for (const nlohmann::json& line : lines) REQUIRE(read.add(line));
  return read.table();
}

const nlohmann::json* chart_named(const nlohmann::json& charts, const std::string& id) {
  for (const nlohmann::json& chart : charts)
    if (chart.at("id") == id) return &chart;
  return nullptr;
}

TEST_CASE("report: curves have the numbers of the lines") {
  const auto lines = test::random_lines(50, 11, 7);
  const MetricTable table = table_of(lines);
  const nlohmann::json charts = charts_of({{.name = "run", .metrics = &table, .best_epoch = 14}});
  const std::map<std::string, std::string> keys = {{"loss", "/loss"},
                                                   {"neighbours", "/knn_top1"},
                                                   {"lr", "/lr"},
                                                   {"speed", "/views_per_second"},
                                                   {"data_wait", "/data_wait"},
                                                   {"alignment", "/features/alignment"},
                                                   {"uniformity", "/features/uniformity"},
                                                   {"effective_rank", "/features/effective_rank"},
                                                   {"positives", "/features/positives_mean"},
                                                   {"similarity", "/features/similarity_own_views/mean"}};
  for (const auto& [id, key] : keys) {
    CAPTURE(id);
    const nlohmann::json* const chart = chart_named(charts, id);
    REQUIRE(chart != nullptr);
    const nlohmann::json& curve = chart->at("lines").at(0);
    CHECK(curve.at("role") == "main");
    std::size_t point = 0;
    for (const nlohmann::json& line : lines) {
      const nlohmann::json& value = line.at(nlohmann::json::json_pointer(key));
      if (value.is_null()) continue;
      REQUIRE(point < curve.at("x").size());
      CHECK(curve.at("x").at(point) == line.at("epoch"));
      CHECK(curve.at("y").at(point).get<double>() == doctest::Approx(value.get<double>()).epsilon(1e-6));
      ++point;
    }
    CHECK(point == curve.at("x").size());
    CHECK(point == curve.at("y").size());
    REQUIRE(curve.contains("best"));
    CHECK(curve.at("best").at(0) == 14);
  }
  CHECK(chart_named(charts, "loss")->at("lines").at(1).at("role") == "reference");
  const nlohmann::json& band = chart_named(charts, "similarity")->at("lines").at(2);
  for (std::size_t i = 0; i < 50; ++i) {
    const nlohmann::json& spread = lines[i].at("features").at("similarity_negatives");
    CHECK(band.at("upper").at(i).get<double>() - band.at("lower").at(i).get<double>() ==
          doctest::Approx(2 * spread.at("deviation").get<double>()).epsilon(1e-4));
  }
}

TEST_CASE("report: what was not measured has no chart, and zeros that are good news have none") {
  const MetricTable table = table_of({{{"epoch", 1}, {"loss", 2.0}, {"skipped_steps", 0}},
                                      {{"epoch", 2}, {"loss", nullptr}, {"skipped_steps", 0}}});
  const nlohmann::json charts = charts_of({{.name = "run", .metrics = &table}});
  REQUIRE(charts.size() == 1);
  CHECK(charts[0].at("id") == "loss");
  CHECK(charts[0].at("lines").size() == 1);
  CHECK(charts[0].at("lines")[0].at("x") == nlohmann::json{1});
  CHECK(positives_chart(table).is_null());
  const MetricTable skipped = table_of({{{"epoch", 1}, {"skipped_steps", 3}}});
  CHECK(chart_named(charts_of({{.name = "run", .metrics = &skipped}}), "skipped") != nullptr);
}

TEST_CASE("report: chance of the neighbours is a level, unless the lines say it") {
  auto lines = test::random_lines(4, 3);
  MetricTable table = table_of(lines);
  nlohmann::json charts = charts_of({{.name = "run", .metrics = &table, .neighbours_chance = 0.125}});
  const nlohmann::json level = chart_named(charts, "neighbours")->at("lines").at(1);
  CHECK(level.at("role") == "reference");
  CHECK(level.at("x") == nlohmann::json{1, 4});
  CHECK(level.at("y") == nlohmann::json{0.125, 0.125});
  for (nlohmann::json& line : lines) line["knn_chance"] = 0.25;
  table = table_of(lines);
  charts = charts_of({{.name = "run", .metrics = &table, .neighbours_chance = 0.125}});
  REQUIRE(chart_named(charts, "neighbours")->at("lines").size() == 2);
  CHECK(chart_named(charts, "neighbours")->at("lines").at(1).at("y").at(0) == 0.25);
}

TEST_CASE("report: a curve that is thinned out keeps its ends, its peaks and the best epoch") {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  for (const std::size_t size : {std::size_t{1}, std::size_t{9}, std::size_t{600}, std::size_t{601},
                                 std::size_t{1000}, std::size_t{77777}}) {
    CAPTURE(size);
    std::vector<double> y;
    for (std::size_t i = 0; i < size; ++i) y.push_back(normal(random));
    const std::size_t kept = random() % size;
    const std::vector<std::size_t> points = decimated(y, most_points, kept);
    CHECK(points.size() <= most_points);
    CHECK(points.size() >= std::min(size, most_points / 2));
    CHECK(points.front() == 0);
    CHECK(points.back() == size - 1);
    CHECK(std::is_sorted(points.begin(), points.end()));
    CHECK(std::adjacent_find(points.begin(), points.end()) == points.end());
    for (const std::size_t wanted :
         {kept, static_cast<std::size_t>(std::max_element(y.begin(), y.end()) - y.begin()),
          static_cast<std::size_t>(std::min_element(y.begin(), y.end()) - y.begin())})
      CHECK(std::binary_search(points.begin(), points.end(), wanted));
  }
}

TEST_CASE("report: of several runs each chart has a line for each run that measured it") {
  std::vector<MetricTable> tables;
  for (unsigned run = 0; run < 4; ++run) {
    auto lines = test::random_lines(10 + static_cast<int>(run), run);
    if (run == 2)
      for (nlohmann::json& line : lines) line["probe_top1"] = 0.5;
    tables.push_back(table_of(lines));
  }
  std::vector<CurvesOf> runs;
  for (std::size_t run = 0; run < 4; ++run)
    runs.push_back({.name = "<b>run " + std::to_string(run), .metrics = &tables[run]});
  const nlohmann::json charts = charts_of(runs);
  const nlohmann::json* const loss = chart_named(charts, "loss");
  REQUIRE(loss != nullptr);
  REQUIRE(loss->at("lines").size() == 4);
  for (std::size_t run = 0; run < 4; ++run) {
    const nlohmann::json& line = loss->at("lines")[run];
    CHECK(line.at("run") == run);
    CHECK(line.at("label") == "<b>run " + std::to_string(run));
    CHECK(line.at("x").size() == 10 + run);
  }
  REQUIRE(chart_named(charts, "probe") != nullptr);
  REQUIRE(chart_named(charts, "probe")->at("lines").size() == 1);
  CHECK(chart_named(charts, "probe")->at("lines")[0].at("run") == 2);
  for (const char* id : {"similarity", "similarity-2", "similarity-3", "speed-2"})
    CHECK(chart_named(charts, id) != nullptr);
}

TEST_CASE("report: bars of positives keep their sum, also where they are joined") {
  for (const std::int64_t last :
       {std::int64_t{8}, std::int64_t{59}, std::int64_t{4000}, std::int64_t{999'999'999'999}}) {
    CAPTURE(last);
    const MetricTable table = table_of(
        {{{"epoch", 1}, {"loss", 1}, {"features", {{"positives_histogram", {{2, 10}, {5, 7}, {last, 3}}}}}}});
    const nlohmann::json chart = positives_chart(table);
    REQUIRE(chart.at("x").size() == chart.at("y").size());
    CHECK(chart.at("x").size() <= 60);
    CHECK(chart.at("x").size() >= std::min<std::size_t>(7, static_cast<std::size_t>(last - 1)));
    std::int64_t sum = 0;
    for (const nlohmann::json& bar : chart.at("y")) sum += bar.get<std::int64_t>();
    CHECK(sum == 20);
    CHECK(chart.at("y").back() == 3);
  }
}

TEST_CASE("report: cosines of the newest epoch are counted in bins, kind by kind") {
  const auto line = [](int epoch, const nlohmann::json& own, const nlohmann::json& negatives) {
    return nlohmann::json{{"epoch", epoch},
                          {"loss", 1},
                          {"features",
                           {{"similarity_own_views", {{"mean", 0.9}, {"histogram", own}}},
                            {"similarity_other_positives", nullptr},
                            {"similarity_negatives", {{"mean", 0}, {"histogram", negatives}}}}}};
  };
  const nlohmann::json own = {{0.925, 4}, {0.975, 6}};
  const nlohmann::json charts = similarity_charts(
      table_of({line(1, {{-0.5, 99}}, {{0.5, 99}}), line(2, own, {{-1.0, 5}, {-0.025, 8}, {1.0, 2}})}));
  REQUIRE(charts.size() == 2);  // other positives were not measured
  CHECK(charts[0].at("id") == "cosines-own-views");
  CHECK(charts[0].at("y")[38] == 4);
  CHECK(charts[0].at("y")[39] == 6);
  CHECK(charts[0].at("x")[39] == "0.95");
  CHECK(charts[1].at("id") == "cosines-negatives");
  CHECK(charts[1].at("y")[0] == 5);
  CHECK(charts[1].at("y")[19] == 8);
  CHECK(charts[1].at("y")[39] == 2);
  for (const nlohmann::json& chart : charts) CHECK(chart.at("y").size() == 40);
  // What is no histogram of cosines is not drawn.
  for (const nlohmann::json& odd :
       {nlohmann::json{{1.5, 3}}, nlohmann::json{{0.5, -3}}, nlohmann::json{{0.5}}, nlohmann::json(7)})
    CHECK(similarity_charts(table_of({line(1, odd, odd)})).empty());
}

}  // namespace
}  // namespace kindred
