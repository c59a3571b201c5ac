// The options of `pretrain`: what flags and presets give, and the values resolved from both.
#pragma once

#include <kindred/apps/console/data_options.h>
#include <kindred/apps/training/options/loss_flags.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/data/loading/sampler.h>
#include <kindred/data/views/recipe.h>
#include <kindred/engine/dtype.h>
#include <kindred/engine/precision.h>
#include <kindred/layers/image_input/preparation.h>
#include <kindred/models/choices.h>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

class CommandLine;

struct ProcessesAsked;   // apps/processes/start.h
struct PixelStatistics;  // layers/image_input

// Options that a preset may set and a flag may override, as a user writes them. Empty: not given.
struct GivenOptions {
  std::optional<std::string> model{}, head{}, stem{};
  std::optional<std::int64_t> views{}, image_size{}, batch_size{}, epochs{};
  std::optional<double> lr{};
  std::optional<double> lr_floor{};  // the cosine ends at lr times this
  std::optional<std::string> optimizer{};
  std::optional<double> momentum{}, weight_decay{}, rmsprop_rho{}, rmsprop_eps{}, beta2{};
  std::optional<double> warmup_epochs{}, warmup_start_lr{}, temperature{};
  std::optional<double> base_temperature{};  // 0: the loss is not scaled
  std::optional<std::string> augment{}, pixels{}, resize{}, exif{}, precision{}, sampling{};
  std::optional<double> momentum_encoder{};
  std::optional<std::int64_t> micro_batch{};
  std::optional<std::string> batch_norm_scope{};
  std::optional<std::int64_t> knn_every{};
  std::optional<std::string> checkpoint_every{}, on_nonfinite{};
  // No preset sets these, but whether a flag does must be known.
  std::optional<std::int64_t> processes{}, gpus{};
  std::optional<bool> sync_batch_norm{};
  std::optional<std::string> gradient_wire{};
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

// What happens if a loss or gradient is not finite: the run ends, or the step is undone.
enum class OnNonFinite : std::uint8_t { stop, skip };

enum class OptimizerKind : std::uint8_t { sgd, lars, rmsprop, adamw };
const char* name(OptimizerKind kind);

// All values resolved, as written to RUN/config.json.
struct PretrainOptions {
  DataFlags data;
  std::string out, weights;
  std::string config;  // the file of --config, or of the run that --resume names; empty: none
  bool best = false;   // `weights` is the folder of a run, whose best encoder is meant
  std::string
      freeze_until;  // the last stage of the encoder that does not learn (ResNet::freeze_until); empty: none
  double encoder_lr_factor = 1;  // the encoder's learning rate is this times `lr`
  std::string loss = "supcon";
  std::string model, augment, preset, device, pixels;
  ResizeMode resize = ResizeMode::crop;  // of views without a random crop, such as those for nearest neighbours
  ExifMode exif = ExifMode::ignore;      // data.exif is the same
  OptimizerKind optimizer = OptimizerKind::sgd;
  std::vector<ViewGroup> view_groups;  // the views that `augment` describes; `views` in all
  HeadKind head = HeadKind::mlp;
  Stem stem = Stem::imagenet;
  Precision precision;
  std::int64_t image_size = 0, batch_size = 0, epochs = 0, views = 2;
  double lr = 0, momentum = 0, weight_decay = 0, warmup_epochs = 0, warmup_start_lr = 0, lr_floor = 0;
  double rmsprop_rho = 0, rmsprop_eps = 0;  // used by this optimizer only
  double beta2 = 0;                         // used by adamw only, whose beta 1 is `momentum`
  double temperature = 0, base_temperature = 0;
  LossFlags loss_flags;
  std::int64_t workers = 0, knn_every = 0, per_class = 1;
  std::string max_bad = "100";  // accepted_bad_images() in data_options.h
  Sampling sampling = Sampling::uniform;
  std::uint64_t seed = 0;
  std::int64_t queue = 0;        // past features that the loss also uses
  double momentum_encoder = 0;   // 0: none
  std::int64_t micro_batch = 0;  // images that go through the network at a time; 0: the whole batch
  BatchNormScope batch_norm_scope = BatchNormScope::micro;
  bool online_probe = false;
  std::int64_t steps_a_launch = 0;  // on a GPU; 0: chosen by image size (steps_of_a_launch)
  std::int64_t keep_checkpoints = 2;
  std::int64_t early_stop = 0;  // epochs without a better one after which the run ends; 0: never
  std::int64_t log_every = 0;   // steps; 0: no lines about steps
  CheckpointInterval checkpoint_every;
  OnNonFinite on_nonfinite = OnNonFinite::stop;
  bool resume = false, overwrite = false, dry_run = false, strict = false, allow_change = false;
  bool resume_names_run = false;  // --resume has the path of a run, which should be there
  bool deterministic = false;
  bool no_tensorboard = false, metrics_csv = false;  // files beside metrics.jsonl
  bool report = false;                               // draw report_page_name
  // The processes that train together: as many as were started, or with dry_run as many as the prediction is for. Each has
  // batch_size / processes images of every batch.
  std::int64_t processes = 1;
  std::int64_t gpus = 0;             // --gpus; 0: not given
  double timeout = 60;               // seconds to wait for a process that does not answer
  bool sync_batch_norm = true;       // statistics of batch norms are of the images of all processes
  DType gradient_wire = DType::f32;  // in which gradients travel: f32 or bf16
  // How many bytes of decoded pictures a loader keeps at most, if less than usual (dry_run/memory_check.h): no option,
  // because no result depends on it.
  std::optional<std::size_t> picture_cache{};
  std::string gpu;         // with dry_run: the GPU, or a file of rates, for which a step's time is predicted
  std::string prediction;  // and the file for the figures

  bool skips_nonfinite() const { return on_nonfinite == OnNonFinite::skip; }
  PixelStatistics pixel_statistics() const;
  nlohmann::json to_json() const;
};

// The flags, bound to storage that lives as long as this object.
class PretrainFlags {
 public:
  // `place` says where the files of --config and of a run that goes on are read.
  explicit PretrainFlags(CommandLine& line, PlaceOfSettings place = where_named);
  // Flags override the preset, which overrides the file of --config, which overrides what was chosen for the training
  // images (set_defaults.h), which overrides the defaults. Checks all values. Throws Error(usage), which names the
  // flag and the values that it accepts, and the file if that gave the value. Before a batch size is chosen, nothing is
  // checked against it.
  PretrainOptions resolve(const GivenOptions& chosen = {}) const;

  // True if neither flags nor a preset nor a file say it, so that it is chosen for the training images:
  template <typename T>
  bool leaves_open(std::optional<T> GivenOptions::*option) const {
    return !(given_.*option) && !(preset().*option) && !(config_.*option);
  }
  // After parsing: the file of --config, or of the run that --resume names or continues without DIR. "": none.
  const std::string& config_file() const { return config_file_; }
  // After parsing: whether this file gives the flag, which was not typed.
  bool config_gives(const std::string& flag) const;
  // After parsing: what the flags say about processes, before the device is looked for.
  ProcessesAsked asked_processes() const;
  bool leaves_batch_size_open() const;
  bool leaves_model_open()
      const;  // neither --model nor --image-size, nor a file of --weights, which has a model

 private:
  GivenOptions preset() const;  // what --preset gives
  void fit_config(const CommandLine& line);
  PretrainOptions resolve_values(const GivenOptions& chosen) const;

  GivenOptions given_;
  std::string config_file_;
  bool config_is_of_resumed_run_ = false;  // which gives it, because DIR was left out or --resume names the run
  std::string config_started_in_;          // from where relative paths in it are meant; empty: not said
  GivenOptions config_;                    // what the file of --config gives
  std::vector<std::string> config_flags_;  // the flags that only this file gives
  std::string preset_of_config_;           // the preset that it names, whose values it holds
  std::string data_of_config_;             // its data set
  std::string device_of_config_;           // the device that was chosen then
  std::string resume_;                     // --resume: empty, "true", or the path of a run
  PretrainOptions plain_;                  // values that no preset changes
};

}  // namespace kindred
