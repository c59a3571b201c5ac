// What a classifier's scores say of each class, on the terminal and in JSON.
#pragma once

#include <kindred/apps/evaluation/classifying.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kindred {

// Prints the classes with the lowest accuracies, at most ten, and what each is most often mistaken for.
void print_worst_classes(const Scores& scores, const std::vector<std::string>& names);

// All figures of the scores, with a line for each class and the confusion matrix: [true class][predicted class].
nlohmann::json to_json(const Scores& scores, const std::vector<std::string>& names);

}  // namespace kindred
