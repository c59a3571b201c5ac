// Linear classifiers in files: fc.weight [classes, dim] and fc.bias [classes], for the encoder's features.
// linear_probe writes them, and pretrain for a loss of class scores, with the class names in the metadata ("classes",
// a JSON list), and what was held out of the images that they were trained on (HeldOutImages). A whole network of
// torchvision or timm contains such a classifier too.
#pragma once

#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/parameters.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/weight_names.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct Classifier {
  Tensor weight;                         // [classes, dim], f32, on the host
  Tensor bias;                           // [classes]
  std::vector<std::string> class_names;  // [classes]; "0", "1", ... if the file does not have names
  bool has_names = false;                // whether it has
  std::string encoder{};  // encoder_checksum() of the encoder that it was trained on; empty: not known
  std::optional<HeldOutImages> held_out{};  // empty: none, or not known

  std::int64_t classes() const { return bias.dim(0); }
};

// Throws Error(file) if there is no classifier, or if it does not fit features of `feature_dim`.
Classifier load_classifier(const std::filesystem::path& path, std::int64_t feature_dim);

// The classifier in an allocated store, "fc", copied to the host.
bool has_classifier(const ParameterStore& store);
Classifier classifier_in(const ParameterStore& store, std::vector<std::string> class_names);

// Identifies the values of the encoder's part of an allocated store: 16 hexadecimal digits, by XXH3. It does not depend
// on the file that they come from, nor on the device.
std::string encoder_checksum(const ParameterStore& store);

// A line that begins with "warning: " if the classifier, from the file `path`, says that it was trained on another
// encoder than the one in `store`; otherwise empty.
std::string other_encoder_warning(const Classifier& classifier, const std::string& path,
                                  const ParameterStore& store);

// classifier_in(), the checksum of the encoder in the store, and what was held out: what save_classifier() takes.
Classifier trained_classifier(const ParameterStore& store, std::vector<std::string> class_names,
                              const std::optional<HeldOutImages>& held_out = {});

// The file holds no time, path or run name, so the same training gives the same bytes. Throws Error(io).
void save_classifier(const std::filesystem::path& path, const Classifier& classifier,
                     FileOperations& files = system_files());

}  // namespace kindred
