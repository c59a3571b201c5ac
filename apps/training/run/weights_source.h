// Where a program finds weights: in a run folder, in an encoder file of Kindred, or in a file of another
// program.
#pragma once

#include <kindred/models/projection_head.h>
#include <kindred/models/weights_file.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct WeightsSource {
  std::filesystem::path encoder;              // the file itself, or RUN/encoder.safetensors
  std::optional<std::filesystem::path> head;  // a file that also holds the projection head
  HeadKind head_kind = HeadKind::mlp;
};

// Throws Error(file) if there is no encoder. The head is looked for in the same file, or in the run's
// checkpoint of the same step.
WeightsSource find_weights(const std::filesystem::path& run_or_file);

// A network loaded from files. It must not be moved, because its parts refer to each other.
struct LoadedModel {
  WeightsInfo info;
  ParameterStore store;
  std::optional<ResNet> encoder;
  std::optional<ProjectionHead> head;
  std::optional<Linear> classifier;      // "fc"
  std::vector<std::string> class_names;  // of the classifier
};

struct LoadOptions {
  bool with_head = false;  // Error(file) if there is none
  std::string classifier;  // a file, or empty
  Device device = Device::cpu;
  DType precision = DType::f32;
};

// The encoder must be complete. Throws Error(file), which says what is missing or has another shape.
std::unique_ptr<LoadedModel> load_model(const WeightsSource& source, const LoadOptions& options);

}  // namespace kindred
