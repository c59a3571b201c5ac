#include <kindred/apps/report/images/confusion.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>
#include <tuple>

namespace kindred {
namespace {

// The share of images of either class that is taken for the other one.
class Likeness {
 public:
  explicit Likeness(const ConfusionCounts& confusion) : confusion_(confusion) {
    for (std::int64_t c = 0; c < confusion.classes; ++c)
      images_.push_back(static_cast<double>(std::max<std::int64_t>(1, confusion.images_of(c))));
  }

  double of(std::int64_t a, std::int64_t b) const {
    const auto share = [&](std::int64_t truth, std::int64_t named) {
      return static_cast<double>(confusion_.at(truth, named)) / images_[static_cast<std::size_t>(truth)];
    };
    return share(a, b) + share(b, a);
  }

 private:
  const ConfusionCounts& confusion_;
  std::vector<double> images_;
};

using ClassGroup = std::vector<std::int64_t>;

// The mean likeness of two groups.
double group_likeness(const Likeness& likeness, const ClassGroup& left, const ClassGroup& right) {
  double sum = 0;
  for (const std::int64_t a : left)
    for (const std::int64_t b : right) sum += likeness.of(a, b);
  return sum / static_cast<double>(left.size() * right.size());
}

// One behind the other, each turned so that the ends that meet are the most alike. Of equal ways the one that turns nothing.
ClassGroup joined_groups(const Likeness& likeness, ClassGroup left, ClassGroup right) {
  const double straight = likeness.of(left.back(), right.front()),
               right_turned = likeness.of(left.back(), right.back()),
               left_turned = likeness.of(left.front(), right.front()),
               both_turned = likeness.of(left.front(), right.back());
  const double best = std::max({straight, right_turned, left_turned, both_turned});
  if (straight < best) {
    const bool turns_right = right_turned == best || (left_turned < best && both_turned == best);
    const bool turns_left = right_turned < best;
    if (turns_right) std::reverse(right.begin(), right.end());
    if (turns_left) std::reverse(left.begin(), left.end());
  }
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// What confusion_json() says of the classes that are not in the order.
nlohmann::json others_json(const ConfusionCounts& confusion, std::span<const std::int64_t> order) {
  std::vector<std::int64_t> named, taken;
  std::vector<char> is_shown(static_cast<std::size_t>(confusion.classes));
  std::int64_t of_shown = 0, taken_in_all = 0;
  for (const std::int64_t shown : order) {
    std::int64_t rest = confusion.images_of(shown);
    for (const std::int64_t other : order) rest -= confusion.at(shown, other);
    named.push_back(rest);
    of_shown += confusion.images_of(shown);
    is_shown[static_cast<std::size_t>(shown)] = true;
  }
  std::map<std::int64_t, std::int64_t> taken_of;  // by the class that was named
  for (const auto& [pair, images] : confusion.counts)
    if (!is_shown[static_cast<std::size_t>(pair.first)] && is_shown[static_cast<std::size_t>(pair.second)])
      taken_of[pair.second] += images;
  for (const std::int64_t shown : order) {
    taken.push_back(taken_of[shown]);
    taken_in_all += taken.back();
  }
  const std::int64_t of = confusion.images() - of_shown;
  if (of == 0 && std::accumulate(named.begin(), named.end(), std::int64_t{0}) == 0) return nullptr;
  return {{"classes", confusion.classes - std::ssize(order)},
          {"named", named},
          {"taken", taken},
          {"both", of - taken_in_all},
          {"of", of}};
}

}  // namespace

ConfusionCounts::ConfusionCounts(std::int64_t number_of_classes)
    : classes(number_of_classes), totals(static_cast<std::size_t>(number_of_classes)) {}

void ConfusionCounts::add(std::int32_t truth, std::int32_t named) {
  if (truth < 0 || truth >= classes) return;
  ++totals[static_cast<std::size_t>(
      truth)];  // also an image that is named no class of the set is named wrongly
  if (named >= 0 && named < classes) ++counts[{truth, named}];
}

std::int64_t ConfusionCounts::at(std::int64_t truth, std::int64_t named) const {
  const auto found = counts.find({truth, named});
  return found == counts.end() ? 0 : found->second;
}

std::int64_t ConfusionCounts::images() const {
  return std::accumulate(totals.begin(), totals.end(), std::int64_t{0});
}

std::int64_t ConfusionCounts::right() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes; ++c) sum += at(c, c);
  return sum;
}

double ConfusionCounts::accuracy_of(std::int64_t truth) const {
  const std::int64_t all = images_of(truth);
  return all == 0 ? 0 : static_cast<double>(at(truth, truth)) / static_cast<double>(all);
}

double ConfusionCounts::accuracy() const {
  const std::int64_t all = images();
  return all == 0 ? 0 : static_cast<double>(right()) / static_cast<double>(all);
}

std::vector<std::int64_t> hardest_classes(const ConfusionCounts& confusion, std::int64_t most) {
  std::vector<std::tuple<double, std::int64_t, std::int64_t>> ranked;  // accuracy, minus images, class
  for (std::int64_t c = 0; c < confusion.classes; ++c)
    if (const std::int64_t images = confusion.images_of(c); images > 0)
      ranked.emplace_back(confusion.accuracy_of(c), -images, c);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, most))));
  std::vector<std::int64_t> chosen;
  for (const auto& [accuracy, images, c] : ranked) chosen.push_back(c);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<std::int64_t> order_by_confusion(const ConfusionCounts& confusion,
                                             std::vector<std::int64_t> classes) {
  if (classes.empty()) return classes;
  const Likeness likeness(confusion);
  std::vector<ClassGroup> groups;
  std::vector<std::vector<double>> alike;  // of each pair of groups
  for (const std::int64_t c : classes) groups.push_back({c});
  for (const ClassGroup& left : groups) {
    alike.emplace_back();
    for (const ClassGroup& right : groups) alike.back().push_back(group_likeness(likeness, left, right));
  }
  while (groups.size() > 1) {
    std::size_t first = 0, second = 1;
    for (std::size_t a = 0; a < groups.size(); ++a)
      for (std::size_t b = a + 1; b < groups.size(); ++b)
        if (alike[a][b] > alike[first][second]) first = a, second = b;
    groups[first] = joined_groups(likeness, std::move(groups[first]), std::move(groups[second]));
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(second));
    alike.erase(alike.begin() + static_cast<std::ptrdiff_t>(second));
    for (std::vector<double>& row : alike) row.erase(row.begin() + static_cast<std::ptrdiff_t>(second));
    for (std::size_t other = 0; other < groups.size(); ++other)
      if (other != first)
        alike[first][other] = alike[other][first] = group_likeness(likeness, groups[first], groups[other]);
  }
  return groups.front();
}

double block_score(const ConfusionCounts& confusion, std::span<const std::int64_t> order) {
  const Likeness likeness(confusion);
  double score = 0;
  for (std::size_t a = 0; a < order.size(); ++a)
    for (std::size_t b = a + 1; b < order.size(); ++b)
      score += likeness.of(order[a], order[b]) / static_cast<double>(b - a);
  return score;
}

nlohmann::json confusion_json(const ConfusionCounts& confusion, std::span<const std::int64_t> order,
                              const std::vector<std::string>& names) {
  nlohmann::json json = {
      {"names", nlohmann::json::array()}, {"rows", nlohmann::json::array()}, {"of", nlohmann::json::array()}};
  for (const std::int64_t truth : order) {
    json["names"].push_back(names.at(static_cast<std::size_t>(truth)));
    json["of"].push_back(confusion.images_of(truth));
    nlohmann::json row = nlohmann::json::array();
    for (const std::int64_t named : order) row.push_back(confusion.at(truth, named));
    json["rows"].push_back(std::move(row));
  }
  json["others"] = others_json(confusion, order);
  return json;
}

std::vector<ConfusedPair> most_confused(const ConfusionCounts& confusion, std::size_t most) {
  std::vector<ConfusedPair> pairs;
  for (const auto& [pair, images] : confusion.counts)
    if (pair.first != pair.second) pairs.push_back({pair.first, pair.second, images});
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const ConfusedPair& a, const ConfusedPair& b) { return a.images > b.images; });
  pairs.resize(std::min(pairs.size(), most));
  return pairs;
}

}  // namespace kindred
