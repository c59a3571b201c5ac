#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/figures/class_figures.h>
#include <kindred/engine/counted.h>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_lines = 10;  // on the terminal; the JSON has all classes

double accuracy_of(const Scores& scores, std::int64_t c) {
  return static_cast<double>(scores.confused(c, c)) / static_cast<double>(scores.images_of(c));
}

}  // namespace

void print_worst_classes(const Scores& scores, const std::vector<std::string>& names) {
  std::vector<std::int64_t> order;
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(names.size()); ++c)
    if (scores.images_of(c) > 0) order.push_back(c);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return accuracy_of(scores, a) < accuracy_of(scores, b); });
  fmt::print("{}:\n", order.size() > most_lines ? "the classes that are hardest" : "classes");
  order.resize(std::min(order.size(), most_lines));
  for (const std::int64_t c : order) {
    std::int64_t mistaken = -1;  // the class it is most often mistaken for
    for (std::int64_t other = 0; other < static_cast<std::int64_t>(names.size()); ++other)
      if (other != c && scores.confused(c, other) > (mistaken < 0 ? 0 : scores.confused(c, mistaken)))
        mistaken = other;
    const std::string taken_for =
        mistaken < 0 ? ""
                     : fmt::format(", taken for {} {}", names[static_cast<std::size_t>(mistaken)],
                                   counted(scores.confused(c, mistaken), "time"));
    fmt::print("  {:.4f}  {}\n", accuracy_of(scores, c),
               one_line(fmt::format("{} ({}){}", names[static_cast<std::size_t>(c)],
                                    counted(scores.images_of(c), "image"), taken_for)));
  }
}

nlohmann::json to_json(const Scores& scores, const std::vector<std::string>& names) {
  nlohmann::json classes = nlohmann::json::array(), confusion = nlohmann::json::array();
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(names.size()); ++c) {
    const std::int64_t images = scores.images_of(c);
    classes.push_back({{"name", names[static_cast<std::size_t>(c)]},
                       {"images", images},
                       {"top1", images > 0 ? nlohmann::json(accuracy_of(scores, c)) : nlohmann::json()}});
    nlohmann::json row = nlohmann::json::array();
    for (std::int64_t other = 0; other < static_cast<std::int64_t>(names.size()); ++other)
      row.push_back(scores.confused(c, other));
    confusion.push_back(row);
  }
  return {{"images", scores.images()},
          {"top1", scores.top1()},
          {"top5", scores.top5()},
          {"negative_log_likelihood", scores.negative_log_likelihood()},
          {"expected_calibration_error", scores.calibration_error()},
          {"classes", classes},
          {"confusion", confusion}};  // [true class][predicted class]
}

}  // namespace kindred
