// Accuracies by class, and the confusion matrix, as a part of a report.
#pragma once

#include <kindred/apps/analysis/image_table.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

// Classes that somebody has given the images of a table.
struct NamedBy {
  std::string who{};                    // "20 nearest of 5000 training images", plain text
  std::vector<std::int32_t> classes{};  // [rows]: -1: none of them
};

struct ClassSection {
  std::string html{};
  nlohmann::json confusion = nullptr;  // of the first of those who name (confusion_json)
};

// The overall accuracy of each who names; then of the first one the accuracy of each class, the hardest first, what is confused
// most, and a place for the matrix (id="confusion"). Of more than 50 classes the 50 hardest, and the text says so.
ClassSection class_section(const ImageTable& table, const std::vector<NamedBy>& results);

}  // namespace kindred
