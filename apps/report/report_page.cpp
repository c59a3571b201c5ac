#include <kindred/apps/pages/page.h>
#include <kindred/apps/report/comparison.h>
#include <kindred/apps/report/curves.h>
#include <kindred/apps/report/report_page.h>
#include <kindred/apps/report/run_story.h>
#include <kindred/apps/report/settings.h>
#include <kindred/engine/counted.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace kindred {
namespace {

CurvesOf curves_of(const RunFiles& run, const std::optional<Chance>& chance) {
  CurvesOf curves{.name = run.name, .metrics = &run.metrics};
  if (const auto best = best_epoch_of(run)) curves.best_epoch = best->epoch;
  if (chance) curves.neighbours_chance = chance->accuracy;
  return curves;
}

std::string chart_figures(const nlohmann::json& charts) {
  std::string html = "<div class=\"charts\">\n";
  for (const nlohmann::json& chart : charts)
    html +=
        fmt::format("<figure class=\"chart\" id=\"chart-{}\"><h3>{}</h3><figcaption>{}</figcaption></figure>\n",
                    chart.at("id").get_ref<const std::string&>(),
                    html_text(chart.at("title").get_ref<const std::string&>()),
                    html_text(chart.at("note").get_ref<const std::string&>()));
  return html +
         "</div>\n<noscript><p>Scripts of this page draw the curves, and scripts are switched "
         "off.</p></noscript>\n";
}

std::string list_of_notes(const std::vector<std::string>& notes) {
  if (notes.empty()) return "";
  std::string html = "<ul class=\"notes\">\n";
  for (const std::string& note : notes) html += "<li>" + html_text(note) + "</li>\n";
  return html + "</ul>\n";
}

std::string drawn_line(const ReportOptions& options) {
  return fmt::format("<p class=\"soft\" id=\"reload\">Drawn {}.</p>\n", html_text(options.drawn));
}

// A button loads the page again; what it was drawn from may have gone on.
std::string head_of_run(const RunFiles& run, const ReportOptions& options) {
  std::string html = fmt::format("<h1>Run <span class=\"name\">{}</span></h1>\n", html_text(run.name));
  const std::string verdict = verdict_in_words(run, chance_for(run, options.chance));
  if (!verdict.empty())
    html += fmt::format("<p class=\"verdict {}\">{}</p>\n", has_learned(verdict) ? "right" : "",
                        html_text(verdict));
  html += fmt::format("<p class=\"lead\"{}{}>{}</p>\n", options.is_last ? " " : "",
                      options.is_last ? mark_of_last_page : "", html_text(condition_in_words(run))) +
          drawn_line(options);
  std::vector<std::string> notes = run.notes;
  notes.insert(notes.end(), options.notes.begin(), options.notes.end());
  if (options.seen != nullptr)
    notes.insert(notes.end(), options.seen->notes.begin(), options.seen->notes.end());
  return html + list_of_notes(notes);
}

std::string number_tile(const std::string& number, const std::string& what) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", html_text(number),
                     html_text(what));
}

std::string tiles_of_run(const RunFiles& run) {
  const MetricTable& metrics = run.metrics;
  std::string html = "<div class=\"tiles\">\n";
  if (const auto best = best_epoch_of(run))
    html += number_tile(fmt::format("{}", best->epoch), "best epoch: " + best->in_words());
  const auto add_newest = [&](const char* measure, const std::string& what, const auto& text) {
    if (const auto row = metrics.newest_with(measure))
      html += number_tile(text(*metrics.at(measure, *row)),
                          fmt::format("{}, epoch {}", what, metrics.epochs[*row]));
  };
  const auto share = [](double value) { return fmt::format("{:.1f} %", 100 * value); };
  add_newest("classifier_top1", "classifier", share);
  add_newest("knn_top1", "neighbours", share);
  add_newest("probe_top1", "online probe", share);
  if (const auto probe = number_at(run.probe, "top1")) html += number_tile(share(*probe), "linear probe");
  add_newest("loss", "loss", [](double value) { return fmt::format("{:.4f}", value); });
  add_newest("views_per_second", "views per second", [](double value) { return fmt::format("{:.0f}", value); });
  add_newest("data_wait", "waiting for data", share);
  return html + "</div>\n";
}

std::string settings_of_page(const RunFiles& run) {
  const std::vector<SettingRow> rows = setting_rows({&run.config});
  if (rows.empty()) return "";
  SettingRoom room;
  const auto table = [&](bool that_differ) {
    std::string html = fmt::format(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n<thead><tr><th "
        "scope=\"col\">setting</th><th scope=\"col\">value</th>{}</tr></thead>\n<tbody>\n",
        that_differ ? "Settings that are not the defaults" : "Other settings",
        that_differ ? "<th scope=\"col\">default</th>" : "");
    for (const SettingRow& row : rows)
      if (row.differs == that_differ)
        html +=
            room.given_to(fmt::format("<tr><th scope=\"row\"><span class=\"name\">{}</span></th><td><span "
                                      "class=\"name\">{}</span></td>{}</tr>\n",
                                      html_text(row.name), html_text(row.values.front()),
                                      that_differ ? fmt::format("<td>{}</td>", html_text(row.usual)) : ""));
    return html + "</tbody></table></div>\n";
  };
  const bool has_differences =
      std::any_of(rows.begin(), rows.end(), [](const SettingRow& row) { return row.differs; });
  std::string html = "<h2 id=\"settings\">Settings</h2>\n";
  if (has_differences) html += "<h3>Other than the defaults</h3>\n" + table(true);
  html += "<details><summary>All others</summary>\n" + table(false) + "</details>\n";
  return html + room.note();
}

std::string part_of_page(const char* id, const char* title, const std::string& html) {
  return html.empty() ? "" : fmt::format("<h2 id=\"{}\">{}</h2>\n{}", id, title, html);
}

// Links to the parts of the page, by its headings.
std::string links_to_parts(const std::string& body) {
  constexpr std::string_view begin = "<h2 id=\"";
  std::string html = "<nav class=\"screen-only\" aria-label=\"Parts of the page\"><ul class=\"legend\">\n";
  for (std::size_t at = body.find(begin); at != std::string::npos; at = body.find(begin, at + 1)) {
    const std::size_t id = at + begin.size(), id_end = body.find('"', id), text = body.find('>', id_end) + 1;
    html += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", body.substr(id, id_end - id),
                        body.substr(text, body.find('<', text) - text));
  }
  return html + "</ul></nav>\n";
}

std::string seen_parts(const Seen& seen) {
  return part_of_page("classes", "Classes", seen.classes) +
         part_of_page("neighbours", "Nearest neighbours", seen.neighbours) +
         part_of_page("embedding", "Map of the embedding", seen.map) +
         part_of_page("doubts", "Labels that look wrong", seen.doubts) +
         part_of_page("views", "Views as the network sees them", seen.views);
}

std::string text_of_run(const RunFiles& run, const ReportOptions& options, bool shows_settings = true) {
  const nlohmann::json data = data_of_run(run, options);
  nlohmann::json charts = data.at("charts");
  for (const nlohmann::json& bars : data.at("bars")) charts.push_back(bars);
  Page page{.title = "Run " + run.name, .data = &data, .scripts = {"chart.js", "charts.js"}};
  page.body = "<h2 id=\"curves\">Curves</h2>\n";
  if (!has_charts())
    page.body +=
        "<p>This build has no Chart.js, so the values are tables: install libjs-chart.js and build Kindred "
        "again.</p>\n";
  page.body += chart_figures(charts);
  if (options.seen != nullptr) page.body += seen_parts(*options.seen);
  if (shows_settings) page.body += settings_of_page(run);
  page.body = head_of_run(run, options) + tiles_of_run(run) + links_to_parts(page.body) + page.body;
  if (data.contains("map")) page.scripts.emplace_back("map.js");
  page.scripts.emplace_back("report.js");
  return page_text(page);
}

bool fits_on_page(const std::string& text) {
  return text.size() <= most_page_bytes;
}

// The text of a page, made again without a part as long as it is too large.
class SmallerPage {
 public:
  SmallerPage(const RunFiles& run, const ReportOptions& options, std::string text)
      : run_(run), with_(options), text_(std::move(text)) {
    if (options.seen != nullptr) seen_ = *options.seen;
    with_.seen = &seen_;
  }

  void leave_out(const char* what, std::initializer_list<std::string*> html, nlohmann::json* data = nullptr) {
    const bool has_html =
        std::any_of(html.begin(), html.end(), [](const auto* part) { return !part->empty(); });
    if (fits_on_page(text_) || !(has_html || (data != nullptr && !data->is_null()))) return;
    for (std::string* const part : html) part->clear();
    if (data != nullptr) *data = nullptr;
    make_again(what);
  }

  void leave_out_parts() {
    if (seen_.map_data.is_object() && seen_.map_data.contains("pictures"))
      leave_out("the pictures of the map", {}, &seen_.map_data["pictures"]);
    leave_out("the map", {&seen_.map}, &seen_.map_data);
    leave_out("the gallery of neighbours", {&seen_.neighbours});
    leave_out("the sheet of views", {&seen_.views});
    leave_out("the list of doubtful labels", {&seen_.doubts});
    leave_out("the accuracy of classes", {&seen_.classes}, &seen_.confusion);
    if (fits_on_page(text_)) return;
    shows_settings_ = false;
    make_again("the settings");
  }

  std::string text() && { return std::move(text_); }

 private:
  void make_again(const char* what) {
    with_.notes.push_back(fmt::format("{}: left out, or the page would be larger than 5 MB", what));
    text_ = text_of_run(run_, with_, shows_settings_);
  }

  const RunFiles& run_;
  ReportOptions with_;
  Seen seen_{};
  bool shows_settings_ = true;
  std::string text_;
};

std::string text_of_runs(const std::vector<RunFiles>& runs, const ReportOptions& options,
                         std::size_t most_of_curve, bool shows_settings = true) {
  const nlohmann::json data = data_of_runs(runs, most_of_curve);
  Page page{.title = fmt::format("Comparison of {}", counted(runs.size(), "run")),
            .data = &data,
            .scripts = {"chart.js", "charts.js", "report.js"}};
  page.body = "<h1>" + html_text(page.title) + "</h1>\n" + drawn_line(options);
  std::vector<std::string> notes = options.notes;
  for (const RunFiles& run : runs)
    for (const std::string& note : run.notes) notes.push_back(run.name + ": " + note);
  const std::string parts = comparison_tables(runs, shows_settings) + "<h2 id=\"curves\">Curves</h2>\n" +
                            chart_figures(data.at("charts"));
  page.body += list_of_notes(notes) + links_to_parts(parts) + parts;
  return page_text(page);
}

}  // namespace

nlohmann::json data_of_run(const RunFiles& run, const ReportOptions& options) {
  nlohmann::json data = {{"charts", charts_of({curves_of(run, chance_for(run, options.chance))})}};
  data["bars"] = similarity_charts(run.metrics);
  if (nlohmann::json bars = positives_chart(run.metrics); !bars.is_null())
    data["bars"].push_back(std::move(bars));
  if (options.seen == nullptr) return data;
  if (!options.seen->confusion.is_null()) data["confusion"] = options.seen->confusion;
  if (!options.seen->map_data.is_null()) data["map"] = options.seen->map_data;
  return data;
}

nlohmann::json data_of_runs(const std::vector<RunFiles>& runs, std::size_t most_of_curve) {
  std::vector<CurvesOf> curves;
  for (const RunFiles& run : runs) curves.push_back(curves_of(run, std::nullopt));
  return {{"charts", charts_of(curves, most_of_curve)}};
}

std::string page_of_run(const RunFiles& run, const ReportOptions& options) {
  std::string text = text_of_run(run, options);
  if (fits_on_page(text)) return text;
  SmallerPage smaller(run, options, std::move(text));
  smaller.leave_out_parts();
  return std::move(smaller).text();
}

std::string page_of_runs(const std::vector<RunFiles>& runs, const ReportOptions& options) {
  constexpr std::size_t fewest_points = 30;
  std::string text;
  for (std::size_t points = most_points; points >= fewest_points; points /= 2) {
    text = text_of_runs(runs, options, points);
    if (fits_on_page(text)) return text;
  }
  ReportOptions with = options;
  with.notes.emplace_back("the settings: left out, or the page would be larger than 5 MB");
  return text_of_runs(runs, with, fewest_points, false);
}

}  // namespace kindred
