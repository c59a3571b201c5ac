#include <kindred/apps/pages/page.h>
#include <kindred/apps/report/images/class_section.h>
#include <kindred/apps/report/images/confusion.h>
#include <kindred/apps/report/images/votes.h>
#include <kindred/engine/counted.h>

#include <algorithm>
#include <map>

namespace kindred {
namespace {

constexpr std::int64_t most_classes_drawn = 50;
constexpr std::size_t most_pairs_listed = 15;

std::string result_tile(const std::string& number, const std::string& what) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", html_text(number),
                     html_text(what));
}

// The class that each class is taken for most often; -1: for none.
std::map<std::int64_t, ConfusedPair> most_often_taken_for(const ConfusionCounts& confusion) {
  std::map<std::int64_t, ConfusedPair> most;
  for (const auto& [pair, images] : confusion.counts) {
    const auto& [truth, named] = pair;
    if (truth != named && images > most[truth].images) most[truth] = {truth, named, images};
  }
  return most;
}

std::string name_cell(const std::vector<std::string>& names, std::int64_t c) {
  return html_text(names[static_cast<std::size_t>(c)]);
}

std::string class_table(const ConfusionCounts& confusion, std::vector<std::int64_t> classes,
                        const std::vector<std::string>& names) {
  std::stable_sort(classes.begin(), classes.end(), [&](std::int64_t a, std::int64_t b) {
    return confusion.accuracy_of(a) < confusion.accuracy_of(b);
  });
  const auto taken_for = most_often_taken_for(confusion);
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Accuracy of each class\"><table>\n"
      "<thead><tr><th scope=\"col\">class</th><th scope=\"col\" class=\"number\">images</th><th scope=\"col\" "
      "class=\"number\">right</th><th scope=\"col\">as a bar</th><th scope=\"col\">most "
      "often taken for</th></tr></thead>\n<tbody>\n";
  for (const std::int64_t c : classes) {
    const double accuracy = confusion.accuracy_of(c);
    const auto other = taken_for.find(c);
    html += fmt::format(
        "<tr><th scope=\"row\"><span class=\"name\">{}</span></th><td class=\"number\">{}</td><td "
        "class=\"number\">{:.1f} %</td><td><span class=\"bar\" "
        "style=\"--of:{:.4f}\"></span></td><td>{}</td></tr>\n",
        name_cell(names, c), confusion.images_of(c), 100 * accuracy, accuracy,
        other == taken_for.end() ? ""
                                 : fmt::format("<span class=\"name\">{}</span> ({})",
                                               name_cell(names, other->second.named), other->second.images));
  }
  return html + "</tbody></table></div>\n";
}

std::string confused_pairs(const ConfusionCounts& confusion, const std::vector<std::string>& names) {
  const std::vector<ConfusedPair> pairs = most_confused(confusion, most_pairs_listed);
  if (pairs.empty()) return "";
  std::string html = "<h3>What is confused most</h3>\n<ol>\n";
  for (const ConfusedPair& pair : pairs)
    html +=
        fmt::format("<li><span class=\"name\">{}</span> named <span class=\"name\">{}</span>: {} of {}</li>\n",
                    name_cell(names, pair.truth), name_cell(names, pair.named), pair.images,
                    confusion.images_of(pair.truth));
  return html + "</ol>\n";
}

}  // namespace

ClassSection class_section(const ImageTable& table, const std::vector<NamedBy>& results) {
  ClassSection section;
  const auto classes = static_cast<std::int64_t>(table.classes.size());
  section.html = "<div class=\"tiles\">\n";
  for (const NamedBy& result : results) {
    std::int64_t right = 0;
    for (std::size_t row = 0; row < table.labels.size(); ++row)
      right += table.labels[row] == result.classes[row];
    section.html += result_tile(
        fmt::format("{:.1f} %", 100 * static_cast<double>(right) / static_cast<double>(table.rows())),
        "named rightly by " + result.who);
  }
  section.html +=
      result_tile(fmt::format("{}", table.rows()), "images of " + counted(classes, "class")) + "</div>\n";

  const NamedBy& first = results.front();
  const ConfusionCounts confusion = confusion_of(table.labels, first.classes, classes);
  const std::vector<std::int64_t> hardest = hardest_classes(confusion, most_classes_drawn);
  const auto with_images =
      std::count_if(confusion.totals.begin(), confusion.totals.end(), [](auto n) { return n > 0; });
  if (hardest.empty()) return section;
  const std::vector<std::int64_t> order = order_by_confusion(confusion, hardest);
  section.confusion = confusion_json(confusion, order, table.classes);
  section.html += fmt::format(
      "<p>Below: named by {}.{} In the matrix, classes that are taken for each other stand together.</p>\n",
      html_text(first.who),
      with_images > most_classes_drawn
          ? fmt::format(" Shown are the {} classes of {} with the lowest accuracy.", hardest.size(),
                        with_images)
          : "");
  section.html +=
      "<h3>Confusion matrix</h3>\n<div id=\"confusion\"><noscript><p>A script of this page draws the matrix, "
      "and scripts "
      "are switched off.</p></noscript></div>\n";
  section.html += confused_pairs(confusion, table.classes);
  section.html += "<h3>Accuracy of each class</h3>\n" + class_table(confusion, hardest, table.classes);
  return section;
}

}  // namespace kindred
