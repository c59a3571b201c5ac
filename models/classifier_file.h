// Linear classifiers in files: fc.weight [classes, dim] and fc.bias [classes], for the encoder's features.
// linear_probe writes them, with the class names in the metadata ("classes", a JSON list). A whole network of
// torchvision or timm contains such a classifier too.
#pragma once

#include <kindred/models/weight_names.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct Classifier {
  Tensor weight;                         // [classes, dim], f32, on the host
  Tensor bias;                           // [classes]
  std::vector<std::string> class_names;  // [classes]; "0", "1", ... if the file does not have names

  std::int64_t classes() const { return bias.dim(0); }
};

// Throws Error(file) if there is no classifier, or if it does not fit features of `feature_dim`.
Classifier load_classifier(const std::filesystem::path& path, std::int64_t feature_dim);

}  // namespace kindred
