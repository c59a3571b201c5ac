#include <kindred/apps/console/progress.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/report/comparison.h>
#include <kindred/apps/report/run_story.h>
#include <kindred/apps/report/settings.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace kindred {
namespace {

using ValueOfRun = std::function<std::optional<double>(const RunFiles&)>;

std::vector<double> measured_values(const RunFiles& run, const char* measure) {
  std::vector<double> values;
  if (const std::vector<double>* const column = run.metrics.find(measure))
    std::copy_if(column->begin(), column->end(), std::back_inserter(values),
                 [](double v) { return std::isfinite(v); });
  return values;
}

ValueOfRun highest_value(const char* measure) {
  return [measure](const RunFiles& run) -> std::optional<double> {
    const std::vector<double> values = measured_values(run, measure);
    if (values.empty()) return std::nullopt;
    return *std::max_element(values.begin(), values.end());
  };
}

ValueOfRun newest_value(const char* measure) {
  return [measure](const RunFiles& run) -> std::optional<double> {
    const std::vector<double> values = measured_values(run, measure);
    return values.empty() ? std::nullopt : std::optional(values.back());
  };
}

ValueOfRun median_value(const char* measure) {
  return [measure](const RunFiles& run) -> std::optional<double> {
    std::vector<double> values = measured_values(run, measure);
    if (values.empty()) return std::nullopt;
    const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), half, values.end());
    return *half;
  };
}

std::optional<double> whole_time(const RunFiles& run) {
  const std::vector<double> seconds = measured_values(run, "seconds");
  if (seconds.empty() || seconds.size() < run.metrics.rows()) return std::nullopt;
  double sum = 0;
  for (const double each : seconds) sum += each;
  return sum;
}

// Whether all runs say the same of each of these settings.
template <std::size_t count>
bool have_equal_settings(const std::vector<RunFiles>& runs, const std::array<const char*, count>& names) {
  const auto value = [](const RunFiles& run, const char* name) {
    const auto found = run.config.find(name);
    return found == run.config.end() ? nlohmann::json() : *found;
  };
  return std::all_of(runs.begin(), runs.end(), [&](const RunFiles& run) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return value(run, name) == value(runs.front(), name); });
  });
}

// How many images of which part: {"images": 40, "split": "val"}, wherever their folder is. Null if the object does not say it.
nlohmann::json images_evaluated_on(const nlohmann::json& object) {
  const auto images = number_at(object, "evaluated_on/images");
  if (!images) return nullptr;
  const nlohmann::json& on = object.at("evaluated_on");
  const auto part = on.find("split");
  if (part == on.end() || !part->is_string()) return nullptr;
  return {{"images", *images}, {"split", *part}};
}

// Runs that do not say on what are not.
bool are_evaluated_alike(const std::vector<RunFiles>& runs) {
  const nlohmann::json images = images_evaluated_on(runs.front().config);
  const std::optional<std::string> set = runs.front().text("data_fingerprint");
  return !images.is_null() && set && std::all_of(runs.begin(), runs.end(), [&](const RunFiles& run) {
    return images_evaluated_on(run.config) == images && run.text("data_fingerprint") == set;
  });
}

// The same of their probes, which are evaluated later and may be on other images.
bool have_probes_alike(const std::vector<RunFiles>& runs) {
  std::vector<nlohmann::json> images;
  for (const RunFiles& run : runs)
    if (number_at(run.probe, "top1")) images.push_back(images_evaluated_on(run.probe));
  return std::all_of(images.begin(), images.end(),
                     [&](const nlohmann::json& on) { return !on.is_null() && on == images.front(); });
}

void add_result(std::vector<ResultRow>& rows, const std::vector<RunFiles>& runs, const char* name,
                const char* format, Better better, const ValueOfRun& value) {
  ResultRow row{.name = name, .format = format, .better = better};
  for (const RunFiles& run : runs) {
    const std::optional<double> of_run = value(run);
    row.values.push_back(of_run && std::isfinite(*of_run) ? of_run : std::nullopt);
  }
  const auto has_some = [](const std::optional<double>& v) { return v.has_value(); };
  if (std::any_of(row.values.begin(), row.values.end(), has_some)) rows.push_back(std::move(row));
}

std::string head_of_runs(const std::vector<RunFiles>& runs) {
  std::string html = "<thead><tr><td></td>";
  for (const RunFiles& run : runs)
    html += fmt::format("<th scope=\"col\"><span class=\"name\">{}</span></th>", html_text(run.name));
  return html + "</tr></thead>\n";
}

std::string table_in_box(const std::string& label, const std::string& rows) {
  return fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n{}</table></div>\n",
      label, rows);
}

std::string result_table(const std::vector<RunFiles>& runs) {
  std::string html = head_of_runs(runs) + "<tbody>\n<tr><th scope=\"row\">state</th>";
  for (const RunFiles& run : runs) html += "<td>" + html_text(condition_in_words(run)) + "</td>";
  html += "</tr>\n<tr><th scope=\"row\">best epoch</th>";
  for (const RunFiles& run : runs) {
    const std::optional<BestEpoch> best = best_epoch_of(run);
    html += best ? fmt::format("<td>{} ({})</td>", best->epoch, best->in_words()) : "<td></td>";
  }
  html += "</tr>\n";
  for (const ResultRow& row : result_rows(runs)) {
    html += "<tr><th scope=\"row\">" + html_text(row.name) + "</th>";
    for (std::size_t run = 0; run < runs.size(); ++run)
      html += row.is_best(run) ? fmt::format(
                                     "<td class=\"number\"><b>{} <span role=\"img\" "
                                     "aria-label=\"best\">★</span></b></td>",
                                     row.text(run))
                               : fmt::format("<td class=\"number\">{}</td>", row.text(run));
    html += "</tr>\n";
  }
  return table_in_box("Results of the runs", html + "</tbody>\n");
}

std::string setting_table(const std::vector<RunFiles>& runs, const std::vector<SettingRow>& rows,
                          bool that_differ, SettingRoom& room) {
  std::string html = head_of_runs(runs) + "<tbody>\n";
  for (const SettingRow& row : rows) {
    if (row.differs != that_differ) continue;
    std::string line =
        fmt::format("<tr><th scope=\"row\"><span class=\"name\">{}</span></th>", html_text(row.name));
    for (const std::string& value : row.values)
      line += fmt::format("<td><span class=\"name\">{}</span></td>", html_text(value));
    html += room.given_to(line + "</tr>\n");
  }
  return table_in_box(that_differ ? "Settings that differ" : "Other settings", html + "</tbody>\n");
}

}  // namespace

bool ResultRow::is_best(std::size_t run) const {
  if (better == Better::neither || !values[run]) return false;
  const double sign = better == Better::higher ? 1 : -1;
  std::size_t known = 0, equal = 0;
  for (const std::optional<double>& value : values) {
    if (!value) continue;
    if (sign * *value > sign * *values[run]) return false;
    ++known;
    equal += *value == *values[run];
  }
  return known > 1 && equal < known;
}

std::string ResultRow::text(std::size_t run) const {
  if (!values[run]) return "";
  const double value = *values[run];
  if (format == "share") return fmt::format("{:.1f} %", 100 * value);
  if (format == "seconds") return format_rough_duration(value);
  if (format == "count") return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::vector<ResultRow> result_rows(const std::vector<RunFiles>& runs) {
  const bool has_one_loss = have_equal_settings(
      runs,
      std::array{"loss", "loss_options", "temperature", "base_temperature", "batch_size", "views", "queue"});
  const Better accuracy = are_evaluated_alike(runs) ? Better::higher : Better::neither;
  std::vector<ResultRow> rows;
  add_result(rows, runs, "neighbours, best", "share", accuracy, highest_value("knn_top1"));
  add_result(rows, runs, "neighbours, newest", "share", accuracy, newest_value("knn_top1"));
  add_result(rows, runs, "neighbours before the first step", "share", Better::neither,
             [](const RunFiles& run) { return run.untrained; });
  add_result(rows, runs, "classifier, best", "share", accuracy, highest_value("classifier_top1"));
  add_result(rows, runs, "online probe, best", "share", accuracy, highest_value("probe_top1"));
  add_result(rows, runs, "linear probe", "share", have_probes_alike(runs) ? accuracy : Better::neither,
             [](const RunFiles& run) { return number_at(run.probe, "top1"); });
  add_result(rows, runs, "loss, newest", "number", has_one_loss ? Better::lower : Better::neither,
             newest_value("loss"));
  add_result(rows, runs, "alignment, newest", "number", Better::neither, newest_value("features/alignment"));
  add_result(rows, runs, "uniformity, newest", "number", Better::neither, newest_value("features/uniformity"));
  add_result(rows, runs, "effective rank, newest", "number", Better::neither,
             newest_value("features/effective_rank"));
  add_result(rows, runs, "views per second, median", "count", Better::higher, median_value("views_per_second"));
  add_result(rows, runs, "waiting for data, median", "share", Better::lower, median_value("data_wait"));
  add_result(rows, runs, "time", "seconds", Better::neither, whole_time);
  return rows;
}

std::string comparison_tables(const std::vector<RunFiles>& runs, bool shows_settings) {
  std::string html = "<h2 id=\"results\">Results</h2>\n" + result_table(runs);
  if (!shows_settings) return html;
  std::vector<const nlohmann::json*> configs;
  for (const RunFiles& run : runs) configs.push_back(&run.config);
  const std::vector<SettingRow> settings = setting_rows(configs);
  const bool has_differences =
      std::any_of(settings.begin(), settings.end(), [](const SettingRow& r) { return r.differs; });
  SettingRoom room;
  html += "<h2 id=\"differences\">Settings that differ</h2>\n";
  html +=
      has_differences ? setting_table(runs, settings, true, room) : "<p>The runs have the same settings.</p>\n";
  html += "<details><summary>Other settings</summary>\n" + setting_table(runs, settings, false, room) +
          "</details>\n";
  return html + room.note();
}

}  // namespace kindred
