// Everything that determines the rest of a run, copied to the host, and the file that holds it.
//
// A checkpoint is taken between two steps. It is a copy, so training continues while it is written. The file is
// safetensors in Kindred's own layout, with a checksum over all of it. Its metadata hold the run's position and
// its metrics so far.
#pragma once

#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/parameters.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// The state of a run besides its tensors. Times and sums are those of the current epoch.
struct RunState {
  std::int64_t epochs_done = 0;       // epochs whose line is in `metrics`
  std::int64_t batches_done = 0;      // in the current epoch
  std::int64_t steps_done = 0;        // batches since the start of the run: the position in the schedule
  std::int64_t skipped = 0;           // out of batches_done: steps without an update (--on-nonfinite skip)
  std::int64_t skipped_in_a_row = 0;  // the newest steps, also of earlier epochs
  double loss_sum = 0;                // over the steps that made an update
  double probe_loss_sum = 0;          // of the online probe, over the same steps
  double seconds = 0, step_seconds = 0, wait_seconds = 0;
  // The best epoch so far: its figure, the kind of that figure (EpochFigure), its loss, and the position of the run at its
  // end. An earlier version saved only the figure.
  std::optional<double> best, best_loss;
  std::string best_by;  // empty: there is no best epoch
  std::string best_on;  // the images (EpochFigure::measured_on); empty: it is a loss, or they are not known
  std::int64_t epochs_since_better =
      0;                            // since the figure was last better than in all epochs before, or the start
  std::int64_t stale_epochs = 0;    // the same when the figure was last measured
  std::int64_t best_step = -1;      // -1: there is none, or it is not known
  std::optional<double> untrained;  // nearest-neighbour accuracy before the first step, if it was measured
  std::vector<nlohmann::json> metrics;
  nlohmann::json features;  // figures of the epoch's last batch (diagnosis.h); null if it was not reached
  std::string data;         // fingerprint of the data set that batches_done refers to

  void begin_epoch();  // resets the values of the current epoch
  // True if all epochs are done, or if a measurement has shown no better figure for `early_stop` epochs (0: never).
  bool is_finished(std::int64_t epochs, std::int64_t early_stop) const {
    return epochs_done >= epochs || (early_stop > 0 && stale_epochs >= early_stop);
  }

  // Compares an epoch with the best one so far. If the figures are equal, the lower loss is better, and if the losses
  // are equal too, the later epoch.
  bool is_improved_by(double figure, double loss) const;
  // So that the comparison starts anew, by another kind of figure or on other images.
  void forget_best();
  // The model has not changed since the end of the best epoch.
  bool is_at_best() const { return best_step >= 0 && best_step == steps_done; }

  nlohmann::json to_json() const;
  // Throws an exception of nlohmann::json if the value does not come from to_json().
  static RunState from_json(const nlohmann::json& value);
};

class Checkpoint {
 public:
  using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

  // Copies parameters, buffers and `others`: the state of the optimizer and of everything else that learns.
  // Waits for the device.
  Checkpoint(const ParameterStore& store, const NamedTensors& others, RunState run);
  // Reads a file. Throws Error(file) if it is damaged or is not a checkpoint.
  explicit Checkpoint(const std::filesystem::path& path);

  // Goes into the file, so that its model can be used like an encoder file.
  void set_encoder_info(const EncoderInfo& info) { encoder_info_ = info; }

  // Replaces the file in one step. If it fails, the previous file is still there. Throws Error(io).
  void save(const std::filesystem::path& path, FileOperations& files = system_files()) const;

  // Restores the model and the tensors to which `others` are windows. Throws Error(file) if the checkpoint
  // belongs to another model; then nothing has changed.
  void restore(ParameterStore& store, const NamedTensors& others) const;

  // Only parameters and buffers, for save_encoder().
  const ParameterStore& model() const { return *model_; }
  const RunState& run() const { return run_; }
  // Of the encoder (EncoderInfo), of a checkpoint from a file.
  const std::vector<std::optional<HeldOutImages>>& trained_before() const { return trained_before_; }

 private:
  std::shared_ptr<ParameterStore> model_;  // holds the copies; null for a checkpoint from a file
  NamedTensors tensors_;
  RunState run_;
  std::optional<EncoderInfo> encoder_info_;
  std::vector<std::optional<HeldOutImages>> trained_before_;
  std::string path_;  // the file it was read from
};

// Only the state of the run, without looking at the tensors. Throws Error(file) if the file is no checkpoint.
RunState read_run_state(const std::filesystem::path& checkpoint);

}  // namespace kindred
