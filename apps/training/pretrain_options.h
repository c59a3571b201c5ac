// The options of `pretrain`: the user's flags, the values of a preset, and the values derived from both.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/apps/training/loss.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/precision.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/micro_batches.h>
#include <kindred/models/projection_head.h>
#include <kindred/models/resnet.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace kindred {

// Hyper-parameters that a preset may set and a flag may override. Empty: not given.
struct HyperParameters {
  std::optional<std::string> model, head, stem, optimizer, augment, pixels;
  std::optional<std::int64_t> image_size, batch_size, epochs, views;
  std::optional<double> lr, momentum, weight_decay, warmup_epochs, temperature;
  std::optional<double> base_temperature;  // 0: the loss is not scaled
  std::optional<double> lr_floor;          // the cosine ends at lr times this
  std::optional<double> warmup_start_lr;
  std::optional<double> rmsprop_rho, rmsprop_eps;
};

// When to save a checkpoint. If neither value is given: at the end of epochs and every ten minutes, as long as
// this takes less than a hundredth of the time.
struct CheckpointInterval {
  std::int64_t steps = 0;
  double seconds = 0;

  // Parses "500", "10m", "90s" or "2h". Throws Error(usage).
  static CheckpointInterval parse(const std::string& text);
  std::string to_string() const;  // "" if neither is given
};

// All values resolved, as written to RUN/config.json.
struct PretrainOptions {
  DataFlags data;
  std::string out, weights;
  std::string loss = "supcon";
  std::string model, augment, optimizer, preset, device, pixels;
  std::vector<ViewGroup> view_groups;  // the views that `augment` describes; `views` in all
  HeadKind head = HeadKind::mlp;
  Stem stem = Stem::imagenet;
  Precision precision;
  std::int64_t image_size = 0, batch_size = 0, epochs = 0, views = 2;
  double lr = 0, momentum = 0, weight_decay = 0, warmup_epochs = 0, warmup_start_lr = 0, lr_floor = 0;
  double rmsprop_rho = 0, rmsprop_eps = 0;  // used by this optimizer only
  double temperature = 0, base_temperature = 0;
  LossFlags loss_flags;
  std::int64_t workers = 0, knn_every = 0, max_bad = 0, per_class = 1;
  Sampling sampling = Sampling::uniform;
  std::uint64_t seed = 0;
  std::int64_t queue = 0;        // past features that the loss also uses
  double momentum_encoder = 0;   // 0: none
  std::int64_t micro_batch = 0;  // images that go through the network at a time; 0: the whole batch
  BatchNormScope batch_norm_scope = BatchNormScope::micro;
  bool online_probe = false;
  std::int64_t steps_a_launch = 0;  // on a GPU; 0: chosen by image size (steps_of_a_launch)
  std::int64_t keep_checkpoints = 2;
  CheckpointInterval checkpoint_every;
  bool skip_nonfinite = false;
  bool resume = false, overwrite = false, dry_run = false, strict = false, allow_change = false;
  bool deterministic = false;
  std::string gpu;         // with dry_run: the GPU, or a file of rates, for which a step's time is predicted
  std::string prediction;  // and the file for the figures

  PixelStatistics pixel_statistics() const;
  nlohmann::json to_json() const;
};

// The flags, bound to storage that lives as long as this object.
class PretrainFlags {
 public:
  explicit PretrainFlags(CLI::App& app);
  // Flags override the preset, which overrides the defaults. Checks all values. Throws Error(usage), which
  // names the flag and the values that it accepts.
  PretrainOptions resolve() const;

 private:
  PretrainOptions plain_;  // values that no preset changes
  HyperParameters given_;
  std::optional<std::string> precision_;
  std::string sampling_ = "uniform", checkpoint_every_, on_nonfinite_ = "stop";
  std::optional<std::string> batch_norm_scope_;
  std::optional<double> momentum_encoder_;
  std::optional<std::int64_t> knn_every_, queue_, micro_batch_;
};

}  // namespace kindred
