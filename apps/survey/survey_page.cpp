#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/survey/charts/class_counts.h>
#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/charts/size_chart.h>
#include <kindred/apps/survey/lettering.h>
#include <kindred/apps/survey/survey_page.h>
#include <kindred/data/images/shrink.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace kindred {
namespace {

constexpr std::size_t most_listed_classes = 5000, most_listed_odd = 1000, most_name_characters = 120;
constexpr std::size_t most_sheet_bytes = 2'000'000;  // of HTML, for each sheet
constexpr std::size_t most_columns_on_page = 10;
constexpr int page_picture = 96;  // side, in pixels

// The middle of a long name is left out.
std::string short_name(const std::string& name) {
  const std::vector<Character> characters = characters_of(name);
  if (characters.size() <= most_name_characters) return name;
  const std::size_t half = most_name_characters / 2;
  return name.substr(0, characters[half].begin) + "\u2026" +
         name.substr(characters[characters.size() - half].begin);
}

std::string name_html(const std::string& name) {
  return fmt::format("<span class=\"name\">{}</span>", html_text(short_name(name)));
}

std::string number_cell(std::int64_t number) {
  return fmt::format("<td class=\"number\">{}</td>", with_commas(number));
}

// A table that scrolls in a box of its own. `rows` is HTML.
std::string table_html(const std::string& title, const std::vector<std::pair<std::string, bool>>& columns,
                       const std::string& rows) {
  std::string html =
      fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n<thead><tr>",
                  html_text(title));
  for (const auto& [name, is_number] : columns)
    html += fmt::format("<th scope=\"col\"{}>{}</th>", is_number ? " class=\"number\"" : "", html_text(name));
  return html + "</tr></thead>\n<tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string figure_html(const std::string& id, const std::string& title) {
  return fmt::format("<figure class=\"chart\" id=\"{}\"><h3>{}</h3></figure>\n", id, html_text(title));
}

std::string counts_html(const SurveyStory& story) {
  std::string rows;
  for (const SplitSurvey& split : story.splits) {
    const auto row = [&](const std::string& format, const OutcomeCounts& counts) {
      rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td>{}{}{}{}</tr>\n", html_text(split.name),
                          html_text(format), number_cell(counts.files()), number_cell(counts.ok),
                          number_cell(counts.damaged), number_cell(counts.rejected));
    };
    const auto formats = split.counts_by_format();
    if (formats.size() != 1) row("all", split.counts());
    for (const auto& [format, counts] : formats) row(format, counts);
  }
  return table_html("files by format",
                    {{"part", false},
                     {"format", false},
                     {"files", true},
                     {"ok", true},
                     {"damaged", true},
                     {"rejected", true}},
                    rows);
}

std::string notes_html(const SurveyStory& story) {
  std::vector<std::string> lines;
  for (const SplitSurvey& split : story.splits)
    for (const std::string& note : split.set.notes())
      if (std::ranges::find(lines, note) == lines.end()) lines.push_back(note);
  if (!story.remarks.empty()) lines.push_back(story.remarks);
  std::string html;
  for (const std::string& line : lines) html += "<li>" + html_text(line) + "</li>\n";
  return html.empty() ? "" : "<ul>\n" + html + "</ul>\n";
}

std::string overview_html(const SurveyStory& story) {
  const std::string verdict = story.problem.empty() ? "Training would accept this set."
                                                    : "Training would not accept this: " + story.problem;
  return fmt::format("<p class=\"verdict {}\">{}</p>\n", story.problem.empty() ? "right" : "wrong",
                     html_text(verdict)) +
         counts_html(story) + notes_html(story);
}

std::string classes_html(const ClassCounts& counts) {
  const std::size_t listed = std::min(counts.names.size(), most_listed_classes);
  std::string rows;
  for (std::size_t c = 0; c < listed; ++c) {
    rows += "<tr><th scope=\"row\">" + name_html(counts.names[c]) + "</th>";
    for (const auto& files : counts.files) rows += number_cell(files[c]);
    rows += "</tr>\n";
  }
  std::vector<std::pair<std::string, bool>> columns{{"class", false}};
  for (const std::string& split : counts.splits) columns.emplace_back(split, true);
  std::string html = "<h2>Classes</h2>\n" + figure_html("classes", "Images of each class");
  if (listed < counts.names.size())
    html += fmt::format("<p>The first {} of {} classes; --json FILE lists all.</p>\n",
                        with_commas(std::int64_t(listed)), with_commas(std::int64_t(counts.names.size())));
  return html + table_html("images of each class", columns, rows);
}

std::string sizes_html(const SurveyStory& story, const std::vector<std::pair<std::string, SizeBins>>& sizes) {
  std::string html = "<h2>Sizes</h2>\n<div class=\"charts\">\n", tables;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const auto& [title, bins] = sizes[k];
    if (bins.edges.empty()) continue;
    html += figure_html(fmt::format("sizes{}", k), title);
    std::string rows;
    for (std::size_t b = 0; b + 1 < bins.edges.size(); ++b) {
      rows += "<tr><th scope=\"row\">" + sides_of_bin(bins, b) + "</th>";
      for (const auto& counts : bins.counts) rows += number_cell(counts[b]);
      rows += "</tr>\n";
    }
    std::vector<std::pair<std::string, bool>> columns{{title + ", pixels", false}};
    for (const SplitSurvey& split : story.splits) columns.emplace_back(split.name, true);
    tables += table_html("images by " + title, columns, rows);
  }
  html += "</div>\n<div class=\"charts\">\n" + tables + "</div>\n";
  const std::string uncounted = uncounted_images(story.splits);
  return html + (uncounted.empty() ? "" : "<p>" + uncounted + ".</p>\n");
}

std::string odd_html(const std::vector<OddThing>& odd) {
  if (odd.empty()) return "<h2>Odd things</h2>\n<p>Nothing odd was found.</p>\n";
  std::string rows;
  for (std::size_t i = 0; i < odd.size() && i < most_listed_odd; ++i)
    rows += "<tr><th scope=\"row\">" + name_html(odd[i].name) + "</th><td><span class=\"name\">" +
            html_text(odd[i].what) + "</span></td></tr>\n";
  std::string html = fmt::format(
      "<h2>{}</h2>\n", odd.size() == 1 ? "1 odd thing" : with_commas(std::int64_t(odd.size())) + " odd things");
  if (odd.size() > most_listed_odd)
    html += fmt::format("<p>The first {}; --json FILE lists all.</p>\n",
                        with_commas(std::int64_t(most_listed_odd)));
  return html + table_html("odd things", {{"file", false}, {"what is odd", false}}, rows);
}

std::string row_html(const SheetRow& row) {
  std::vector<GalleryPicture> pictures;
  const std::string heading = short_name(row.name) + (row.note.empty() ? "" : ": " + row.note);
  if (row.pictures.empty()) return "<p class=\"group-name\">" + html_text(heading) + "</p>\n";
  for (std::size_t i = 0; i < row.pictures.size() && i < most_columns_on_page; ++i) {
    const SheetPicture& picture = row.pictures[i];
    pictures.push_back({.image = shrink_to(picture.image, page_picture),
                        .name = picture.name.substr(picture.name.find_last_of('/') + 1),
                        .note = picture.damaged ? "damaged" : "",
                        .verdict = picture.damaged ? Verdict::wrong : Verdict::none,
                        .group = i == 0 ? heading : ""});
  }
  return gallery(pictures, page_picture);
}

std::string sheet_html(const Sheet& sheet) {
  std::string html = "<h2>" + html_text(sheet.title) + "</h2>\n", rows;
  for (const std::string& note : sheet.notes) html += "<p class=\"soft\">" + html_text(note) + "</p>\n";
  if (sheet.columns.size() > most_columns_on_page)
    html += fmt::format("<p>The first {} of {} views; views.png has all.</p>\n", most_columns_on_page - 1,
                        sheet.columns.size() - 1);
  for (std::size_t r = 0; r < sheet.rows.size(); ++r) {
    if (rows.size() > most_sheet_bytes) {
      html += fmt::format("<p>The first {} of {} rows; the picture has all.</p>\n", r, sheet.rows.size());
      break;
    }
    rows += row_html(sheet.rows[r]);
  }
  return html + rows;
}

nlohmann::json series_json(const std::vector<SplitSurvey>& splits,
                           const std::vector<std::vector<std::int64_t>>& counts) {
  nlohmann::json series = nlohmann::json::array();
  for (std::size_t s = 0; s < splits.size(); ++s)
    series.push_back({{"label", splits[s].name}, {"values", counts[s]}});
  return series;
}

nlohmann::json classes_json(const SurveyStory& story, const ClassCounts& counts) {
  nlohmann::json names = nlohmann::json::array();
  for (std::size_t c = 0; c < counts.names.size() && c < most_listed_classes; ++c)
    names.push_back(short_name(counts.names[c]));
  return {
      {"title", "images of each class"}, {"names", names}, {"series", series_json(story.splits, counts.files)}};
}

nlohmann::json sizes_json(const SurveyStory& story,
                          const std::vector<std::pair<std::string, SizeBins>>& sizes) {
  nlohmann::json charts = nlohmann::json::array();
  for (const auto& [title, bins] : sizes) {
    nlohmann::json labels = nlohmann::json::array();
    for (std::size_t b = 0; b + 1 < bins.edges.size(); ++b) labels.push_back(sides_of_bin(bins, b));
    charts.push_back(
        {{"title", title}, {"labels", labels}, {"series", series_json(story.splits, bins.counts)}});
  }
  return charts;
}

}  // namespace

void write_survey_page(const std::filesystem::path& path, const SurveyStory& story) {
  const ClassCounts classes = count_classes(story.splits);
  const std::vector<std::pair<std::string, SizeBins>> sizes{
      {"Shorter side", count_sides(story.splits, Side::shorter, most_size_bins)},
      {"Longer side", count_sides(story.splits, Side::longer, most_size_bins)}};
  const nlohmann::json data{{"classes", classes_json(story, classes)}, {"sizes", sizes_json(story, sizes)}};
  Page page{
      .title = "What is in " + story.data, .data = &data, .scripts = {"chart.js", "charts.js", "survey.js"}};
  page.body = overview_html(story) + classes_html(classes) + sizes_html(story, sizes) + odd_html(story.odd);
  for (const Sheet& sheet : story.sheets.contacts) page.body += sheet_html(sheet);
  if (story.sheets.views) page.body += sheet_html(*story.sheets.views);
  write_page(path, page);
}

}  // namespace kindred
