// The flags about a trained encoder that programs share, and how it is loaded to be used as it is.
#pragma once

#include <kindred/apps/common/features.h>
#include <kindred/apps/common/known_plans.h>
#include <kindred/models/weights_file.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace kindred {

// load_weights for an encoder that stays as it is: one of which a part is missing is an Error(file), since it
// would be measured for what it is not. Prints what was taken, and how images are prepared for it.
void load_frozen_weights(const std::string& path, const EncoderInfo& info, ParameterStore& store,
                         std::FILE* out = stdout);

struct FrozenEncoder {
  std::optional<KnownPlans> known_plans;
  EncoderInfo info;
  ParameterStore store;
  std::unique_ptr<ResNet> encoder;
  FeatureOptions features;  // for extract_features and what is like it
};

struct EncoderFlags {
  std::string encoder, weights, pixels, device = "auto";
  std::optional<std::string> precision;  // not given: the device's default
  std::int64_t image_size = 0, batch_size = 128, workers = 1;

  void add_to(CLI::App& app);  // the object must outlive the parsing
  void check_values() const;   // Error(usage) names the flag
  // Chooses the device, loads, and reports both to `out`. Error(file), Error(device).
  std::unique_ptr<FrozenEncoder> load(std::FILE* out = stdout) const;
  const std::string& file() const { return encoder.empty() ? weights : encoder; }
};

}  // namespace kindred
