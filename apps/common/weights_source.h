// Where a program finds weights: a run folder, an encoder file of Kindred's, or a file of another program's.
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
  std::optional<std::filesystem::path> head;  // a file that holds the projection head too
  HeadKind head_kind = HeadKind::mlp;
};

// Error(file) when there is no encoder. The head is looked for in the file, or in
// the run's checkpoint of the same step.
WeightsSource find_weights(const std::filesystem::path& run_or_file);

// A network filled from files. Not to be moved: its parts refer to each other.
struct LoadedModel {
  WeightsInfo info;
  ParameterStore store;
  std::optional<ResNet> encoder;
  std::optional<ProjectionHead> head;
  std::optional<Linear> classifier;      // "fc"
  std::vector<std::string> class_names;  // of the classifier
};

struct LoadOptions {
  bool with_head = false;  // Error(file) when there is none
  std::string classifier;  // a file, or empty
  Device device = Device::cpu;
  DType precision = DType::f32;
};

// The encoder must be whole: Error(file) says what is missing or of another shape.
std::unique_ptr<LoadedModel> load_model(const WeightsSource& source, const LoadOptions& options);

}  // namespace kindred
