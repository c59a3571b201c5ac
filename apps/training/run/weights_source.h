// Where a program finds weights: in a run folder, in an encoder file or a checkpoint of Kindred, or in a file of
// another program.
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
  std::filesystem::path encoder;              // weights_file() of what was given
  std::optional<std::filesystem::path> head;  // a file that also holds the projection head
  HeadKind head_kind = HeadKind::mlp;
};

// Throws Error(file) if there is no encoder, and Error(usage) for `best` with a file. The head is looked for in the
// same file, or in the run's checkpoint of the same step. `flag` is for errors.
WeightsSource find_weights(const std::string& flag, const std::filesystem::path& run_or_file, bool best);

// Whether the encoder file has the values of the checkpoint, which is whole: both are of the same step, and have the
// same running statistics in the first layer. The step alone is not enough, because another run has it too; nor are the
// statistics, which do not change in a frozen layer. Throws Error(file) if one of the two cannot be read.
bool are_of_one_step(const std::filesystem::path& encoder, const std::filesystem::path& checkpoint);

// A network loaded from files. It must not be moved, because its parts refer to each other.
struct LoadedModel {
  WeightsInfo info;
  ParameterStore store;
  std::optional<ResNet> encoder;
  std::optional<ProjectionHead> head;
  std::optional<Linear> classifier;      // "fc"
  std::vector<std::string> class_names;  // of the classifier
  std::string warning;                   // other_encoder_warning() about the classifier; empty: none
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
