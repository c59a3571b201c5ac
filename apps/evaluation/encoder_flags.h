// The flags for a trained encoder that programs share, and how a frozen encoder is loaded.
#pragma once

#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/models/weights_file.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

class CommandLine;

// load_weights for an encoder that is used without further training. Throws Error(file) if a part of the
// encoder is missing, because results would then be those of another network. Prints what was loaded and how
// images are prepared.
void load_frozen_weights(const std::string& path, const EncoderInfo& info, ParameterStore& store,
                         std::FILE* out = stdout);

struct FrozenEncoder {
  std::optional<KnownPlans> known_plans;
  EncoderInfo info;
  ParameterStore store;
  std::unique_ptr<ResNet> encoder;
  FeatureOptions features;  // for extract_features and similar functions
};

struct EncoderFlags {
  std::string encoder, weights, pixels, device = "auto";
  std::optional<std::string> precision;  // empty: the device's default
  std::int64_t image_size = 0, batch_size = 128, workers = 1;

  void add_to(CommandLine& line);  // this object must outlive the parsing
  void check_values() const;       // throws Error(usage), which names the flag
  // Chooses the device, loads the encoder, and reports both to `out`. Throws Error(file) and Error(device).
  std::unique_ptr<FrozenEncoder> load(std::FILE* out = stdout) const;
  const std::string& file() const { return encoder.empty() ? weights : encoder; }
};

}  // namespace kindred
