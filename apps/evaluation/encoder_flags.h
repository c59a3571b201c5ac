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
  bool is_assumed = false;  // by another program, whose file does not say what Kindred's do (WeightsInfo)
  ParameterStore store;
  std::unique_ptr<ResNet> encoder;
  FeatureOptions features;  // for extract_features and similar functions
};

// Help of the flags that take an encoder, in every program that has them.
inline constexpr const char *encoder_help = "RUN, RUN/encoder.safetensors or a checkpoint of a pretrain run",
                            *weights_help =
                                "a .safetensors file of torchvision's, timm's or SupContrast's weights instead",
                            *best_help =
                                "of the run whose folder is given: the encoder of its best epoch, not the last";

struct EncoderFlags {
  std::string encoder, weights, pixels, device = "auto";
  std::string resize, exif;              // empty: as the encoder was trained
  std::optional<std::string> precision;  // empty: the device's default
  std::int64_t image_size = 0, batch_size = 128, workers = 1;
  bool best = false;

  void add_to(CommandLine& line);  // this object must outlive the parsing
  void check_values() const;       // throws Error(usage), which names the flag
  // What is known about the encoder; the flags replace what its file says. Throws Error(file).
  EncoderInfo encoder_info() const;
  // Chooses the device, loads the encoder, and reports both to `out`. Throws Error(file) and Error(device).
  std::unique_ptr<FrozenEncoder> load(std::FILE* out = stdout) const;
  // What was given, a file or the folder of a run.
  const std::string& file() const { return encoder.empty() ? weights : encoder; }
};

}  // namespace kindred
