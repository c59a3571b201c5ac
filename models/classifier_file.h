// Linear classifiers in files: fc.weight [classes, dim] and fc.bias [classes], for features as the encoder
// gives them. linear_probe writes them, with the names of the classes in the metadata ("classes", a JSON list);
// a whole network of torchvision's or timm's holds one too.
#pragma once

#include <kindred/models/weight_names.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct Classifier {
  Tensor weight;                         // [classes, dim], f32, on the host
  Tensor bias;                           // [classes]
  std::vector<std::string> class_names;  // [classes]; "0", "1", ... where the file does not say

  std::int64_t classes() const { return bias.dim(0); }
};

// Error(file) when there is none, or when it does not take features of `feature_dim`.
Classifier load_classifier(const std::filesystem::path& path, std::int64_t feature_dim);

}  // namespace kindred
