// Which classes are taken for which: counts, accuracies, and an order in which classes that are confused stand together.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

struct ConfusionCounts {
  std::int64_t classes = 0;
  std::vector<std::int64_t> totals{};  // [classes]: images of each
  // By true class and named class, those that occur: a set of 20,000 classes has far fewer than pairs of them.
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> counts{};

  explicit ConfusionCounts(std::int64_t number_of_classes);
  // An image whose true class is outside of the range is left out. One that is named such a class counts among those of its own.
  void add(std::int32_t truth, std::int32_t named);
  std::int64_t at(std::int64_t truth, std::int64_t named) const;
  std::int64_t images_of(std::int64_t truth) const { return totals[static_cast<std::size_t>(truth)]; }
  std::int64_t images() const;
  std::int64_t right() const;
  double accuracy_of(std::int64_t truth) const;  // 0 to 1; 0 for a class without images
  double accuracy() const;
};

// The classes with images that have the lowest accuracy, at most `most`, in the order of their indices. Of equal ones that with
// more images, then the earlier one.
std::vector<std::int64_t> hardest_classes(const ConfusionCounts& confusion, std::int64_t most);

// An order of these classes in which those that are taken for each other are neighbours, so that blocks show beside the diagonal:
// hierarchical clustering by average linkage on the shares of images that are confused, where the two halves of each cluster are
// turned so that the classes at the seam are the most alike. Deterministic; of equal pairs the earlier classes come first.
// O(n^3) for n classes, so at most a few hundred.
std::vector<std::int64_t> order_by_confusion(const ConfusionCounts& confusion,
                                             std::vector<std::int64_t> classes);

// How well an order shows blocks: the sum over pairs of classes of the share that is confused, divided by their distance.
double block_score(const ConfusionCounts& confusion, std::span<const std::int64_t> order);

// What report.js draws, in this order: {"names": [...], "rows": [[...]], "of": [...], "others": ...}. "of" are all images of
// a class, "others" what the rows and columns leave out, so that every row has a whole sum; null if they leave nothing out:
//   {"classes": 950,    that are not shown, with images or without
//    "named": [...],    of each class shown: images that were named none of those shown, or no class of the set
//    "taken": [...],    of each class shown: images of classes that are not shown, which were named this one
//    "both": 7800,      images of classes that are not shown, which were named none of those shown
//    "of": 8000}        images of classes that are not shown
nlohmann::json confusion_json(const ConfusionCounts& confusion, std::span<const std::int64_t> order,
                              const std::vector<std::string>& names);

struct ConfusedPair {
  std::int64_t truth = 0, named = 0, images = 0;
};
// The pairs of different classes with the most images, the most first; of equal ones in the order of the classes.
std::vector<ConfusedPair> most_confused(const ConfusionCounts& confusion, std::size_t most);

}  // namespace kindred
