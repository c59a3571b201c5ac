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
  return name_element(names[static_cast<std::size_t>(c)]);
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
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td "
        "class=\"number\">{:.1f} %</td><td><span class=\"bar\" "
        "style=\"--of:{:.4f}\"></span></td><td>{}</td></tr>\n",
        name_cell(names, c), confusion.images_of(c), 100 * accuracy, accuracy,
        other == taken_for.end()
            ? ""
            : fmt::format("{} ({})", name_cell(names, other->second.named), other->second.images));
  }
  return html + "</tbody></table></div>\n";
}

std::string confused_pairs(const ConfusionCounts& confusion, const std::vector<std::string>& names) {
  const std::vector<ConfusedPair> pairs = most_confused(confusion, most_pairs_listed);
  if (pairs.empty()) return "";
  std::string html = "<h3>What is confused most</h3>\n<ol>\n";
  for (const ConfusedPair& pair : pairs)
    html += fmt::format("<li>{} named {}: {} of {}</li>\n", name_cell(names, pair.truth),
                        name_cell(names, pair.named), pair.images, confusion.images_of(pair.truth));
  return html + "</ol>\n";
}

// Which classes the matrix shows, and where the images are that it would leave out.
std::string matrix_in_words(const nlohmann::json& confusion, std::size_t shown, std::int64_t with_images) {
  std::string html = "<p>";
  if (static_cast<std::int64_t>(shown) < with_images)
    html += fmt::format(
        "Of {} with images {} are shown: those with the lowest accuracy, of equal ones those with more "
        "images. ",
        counted(with_images, "class"), shown);
  html += "Classes that are taken for each other stand together.";
  if (const nlohmann::json& others = confusion.at("others"); others.is_object())
    html +=
        others.at("classes") == 0 ? " The last column counts the images that were named none of the set's "
                                    "classes: so each row sums to "
                                    "all images of its class."
        : others.at("of").get<std::int64_t>() > 0
            ? " The last column counts the images that were named a class that is not shown, and the last row "
              "the images of such classes: so each row sums to all images of its class."
            : " The last column counts the images that were named a class that is not shown: so each row sums "
              "to all images of its class.";
  return html + "</p>\n";
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
  const bool is_choice = std::ssize(hardest) < with_images;
  const std::vector<std::int64_t> order = order_by_confusion(confusion, hardest);
  section.confusion = confusion_json(confusion, order, table.classes);
  section.html += fmt::format("<p>Below: named by {}.</p>\n", html_text(first.who));
  section.html += "<h3>Confusion matrix</h3>\n" +
                  matrix_in_words(section.confusion, hardest.size(), with_images) +
                  "<div id=\"confusion\"><noscript><p>A script of this page draws the matrix, "
                  "and scripts "
                  "are switched off.</p></noscript></div>\n";
  section.html += confused_pairs(confusion, table.classes);
  section.html +=
      std::string(is_choice ? "<h3>Accuracy of these classes</h3>\n" : "<h3>Accuracy of each class</h3>\n") +
      class_table(confusion, hardest, table.classes);
  return section;
}

}  // namespace kindred
