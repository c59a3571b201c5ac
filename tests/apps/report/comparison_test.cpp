// Settings and results of runs beside each other.
#include "drawn_runs.h"

#include <kindred/apps/report/comparison.h>
#include <kindred/apps/report/settings.h>

#include <doctest/doctest.h>

#include <algorithm>

namespace kindred {
namespace {

const SettingRow* row_named(const std::vector<SettingRow>& rows, const std::string& name) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const SettingRow& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

TEST_CASE("report: of one run the settings that are not the defaults come first") {
  nlohmann::json config = test::settings_of_drawn_run(100);
  config["lr"] = 0.4;
  config["loss_options"] = {{"variant", "in"}, {"denominator", "all"}};
  config["temperature"] = 0.07;
  const auto rows = setting_rows({&config});
  std::vector<std::string> differing;
  bool has_ended = false;
  for (const SettingRow& row : rows) {
    CHECK(!(has_ended && row.differs));
    has_ended |= !row.differs;
    if (row.differs) differing.push_back(row.name);
  }
  CHECK(differing == std::vector<std::string>{"loss_options.variant", "lr", "temperature"});
  CHECK(row_named(rows, "lr")->usual == "0.1");
  CHECK(row_named(rows, "lr")->values == std::vector<std::string>{"0.4"});
  CHECK(row_named(rows, "model")->usual == "resnet50");
  CHECK(row_named(rows, "command")->usual.empty());
  // The default of one option depends on another.
  config["optimizer"] = "adamw";
  CHECK(row_named(setting_rows({&config}), "lr")->usual == "0.001");
}

TEST_CASE("report: of several runs the settings that differ come first, and facts of the start do not count") {
  nlohmann::json first = test::settings_of_drawn_run(100), second = first, third = first;
  second["lr"] = 0.2;
  second["command"] = "pretrain y";
  third["loss_options"]["variant"] = "in";
  third["early_stop"] = 5;
  third.erase("queue");
  const auto rows = setting_rows({&first, &second, &third});
  std::vector<std::string> differing;
  for (const SettingRow& row : rows)
    if (row.differs) differing.push_back(row.name);
  CHECK(differing == std::vector<std::string>{"early_stop", "loss_options.variant", "lr", "queue"});
  CHECK(row_named(rows, "queue")->values == std::vector<std::string>{"0", "0", ""});
  CHECK(row_named(rows, "lr")->values == std::vector<std::string>{"0.1", "0.2", "0.1"});
  for (const SettingRow& row : setting_rows({&first, &first})) CHECK(!row.differs);
}

TEST_CASE("report: settings of any size and kind are bounded") {
  nlohmann::json config = {
      {"text", std::string(100'000, 'x')}, {"list", nlohmann::json::array()}, {"none", nullptr}};
  for (int i = 0; i < 5000; ++i) config["many"]["value " + std::to_string(i)] = i;
  for (int i = 0; i < 10'000; ++i) config["list"].push_back(i);
  const auto settings = settings_in(config);
  CHECK(settings.size() <= 1000);
  for (const auto& [name, text] : settings) CHECK(text.size() <= 2010);
  CHECK(settings_in(nlohmann::json::array({1, 2})).empty());
  CHECK(settings_in(nullptr).empty());
}

RunFiles run_with(const std::vector<double>& neighbours, double loss, const nlohmann::json& config) {
  RunFiles run;
  MetricLines lines;
  for (std::size_t e = 0; e < neighbours.size(); ++e)
    REQUIRE(lines.add({{"epoch", e + 1}, {"loss", loss}, {"knn_top1", neighbours[e]}, {"seconds", 10}}));
  run.metrics = lines.table();
  run.config = config;
  return run;
}

const ResultRow* result_named(const std::vector<ResultRow>& rows, const std::string& name) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const ResultRow& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

TEST_CASE("report: the best values of several runs are marked, where they can be compared") {
  nlohmann::json config = test::settings_of_drawn_run(3);
  config["data_fingerprint"] = "0123456789abcdef";
  config["evaluated_on"] = {{"folder", "a/val"}, {"images", 40}, {"split", "val"}};
  std::vector<RunFiles> runs = {run_with({0.2, 0.6, 0.5}, 3, config), run_with({0.1, 0.3}, 2.5, config),
                                run_with({0.6}, 2.5, config)};
  runs[1].probe = {{"top1", 0.75}};
  auto rows = result_rows(runs);
  const ResultRow* const best = result_named(rows, "neighbours, best");
  REQUIRE(best != nullptr);
  CHECK(best->values == std::vector<std::optional<double>>{0.6, 0.3, 0.6});
  CHECK((best->is_best(0) && !best->is_best(1) && best->is_best(2)));
  CHECK(best->text(1) == "30.0 %");
  CHECK(result_named(rows, "neighbours, newest")->values == std::vector<std::optional<double>>{0.5, 0.3, 0.6});
  const ResultRow* const loss = result_named(rows, "loss, newest");
  CHECK((!loss->is_best(0) && loss->is_best(1) && loss->is_best(2)));
  const ResultRow* const probe = result_named(rows, "linear probe");
  REQUIRE(probe != nullptr);
  CHECK(!probe->values[0]);
  CHECK(!probe->is_best(1));  // of one there is no best
  CHECK(result_named(rows, "time")->text(0) == "30 s");
  CHECK(result_named(rows, "online probe, best") == nullptr);

  // Losses of other temperatures, and accuracies on other images, are not compared.
  runs[2].config["temperature"] = 0.5;
  runs[2].config["data_fingerprint"] = "other";
  rows = result_rows(runs);
  for (std::size_t run = 0; run < 3; ++run) {
    CHECK(!result_named(rows, "loss, newest")->is_best(run));
    CHECK(!result_named(rows, "neighbours, best")->is_best(run));
  }
  // The same number of other images is another evaluation, and so is one that nobody knows.
  const auto marks_any = [&](const char* name) {
    rows = result_rows(runs);
    for (std::size_t run = 0; run < runs.size(); ++run)
      if (result_named(rows, name)->is_best(run)) return true;
    return false;
  };
  const auto all_with = [&](const char* key, const nlohmann::json& value) {
    for (RunFiles& run : runs) run.config = config;
    if (value.is_null())
      for (RunFiles& run : runs) run.config.erase(key);
    else
      runs[1].config[key] = value;
  };
  all_with("evaluated_on", {{"folder", "b/val"}, {"images", 40}, {"split", "val"}});
  CHECK(marks_any("neighbours, best"));
  all_with("evaluated_on", {{"folder", "a/val"}, {"images", 40}, {"split", "test"}});
  CHECK(!marks_any("neighbours, best"));
  all_with("evaluated_on", {{"folder", "a/val"}, {"images", 41}, {"split", "val"}});
  CHECK(!marks_any("neighbours, best"));
  for (const char* const missing : {"evaluated_on", "data_fingerprint"}) {
    all_with(missing, nullptr);
    CHECK(!marks_any("neighbours, best"));
  }
  // Probes say themselves what they are evaluated on.
  all_with("lr", 0.2);
  for (RunFiles& run : runs) run.probe = {{"top1", 0.5}, {"evaluated_on", config.at("evaluated_on")}};
  runs[2].probe["top1"] = 0.75;
  CHECK(marks_any("linear probe"));
  runs[2].probe["evaluated_on"]["split"] = "test";
  CHECK(!marks_any("linear probe"));
  // Equal values are none better than the others.
  for (const ResultRow& row : result_rows({runs[0], runs[0]}))
    for (const std::size_t run : {std::size_t{0}, std::size_t{1}}) CHECK(!row.is_best(run));
}

TEST_CASE("report: names in the tables of a comparison are escaped") {
  std::vector<RunFiles> runs(2, run_with({0.5}, 1, test::settings_of_drawn_run(1)));
  runs[0].name = "<script>alert(1)</script>";
  runs[1].name = "\"'&\xff";
  runs[1].config["<i>key"] = "<b>value</b>";
  const std::string html = comparison_tables(runs);
  for (const char* text : {"<script", "<i>key", "<b>value", "\xff"})
    CHECK(html.find(text) == std::string::npos);
  CHECK(html.find("&lt;script&gt;") != std::string::npos);
}

}  // namespace
}  // namespace kindred
