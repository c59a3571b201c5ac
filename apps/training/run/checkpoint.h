// Everything that determines the rest of a run, copied to the host, and the file that holds it.
//
// A checkpoint is taken between two steps. It is a copy, so training continues while it is written. The file is
// safetensors in Kindred's own layout, with a checksum over all of it. Its metadata hold the run's position and
// its metrics so far.
#pragma once

#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/parameters.h>

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
  std::int64_t epochs_done = 0;   // epochs whose line is in `metrics`
  std::int64_t batches_done = 0;  // in the current epoch
  std::int64_t steps_done = 0;    // batches since the start of the run: the position in the schedule
  std::int64_t skipped = 0;       // out of batches_done: steps without an update (--on-nonfinite skip)
  double loss_sum = 0;            // over the steps that made an update
  double probe_loss_sum = 0;      // of the online probe, over the same steps
  double seconds = 0, step_seconds = 0, wait_seconds = 0;
  std::optional<double> best;  // nearest-neighbour accuracy, or minus the loss if it is not measured
  std::vector<nlohmann::json> metrics;
  nlohmann::json features;  // figures of the epoch's last batch (diagnosis.h); null if it was not reached
  std::string data;         // fingerprint of the data set that batches_done refers to

  void begin_epoch();  // resets the values of the current epoch

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

  // Replaces the file in one step. If it fails, the previous file is still there. Throws Error(io).
  void save(const std::filesystem::path& path, FileOperations& files = system_files()) const;

  // Restores the model and the tensors to which `others` are windows. Throws Error(file) if the checkpoint
  // belongs to another model; then nothing has changed.
  void restore(ParameterStore& store, const NamedTensors& others) const;

  // Only parameters and buffers, for save_encoder().
  const ParameterStore& model() const { return *model_; }
  const RunState& run() const { return run_; }

 private:
  std::shared_ptr<ParameterStore> model_;  // holds the copies; null for a checkpoint from a file
  NamedTensors tensors_;
  RunState run_;
  std::string path_;  // the file it was read from
};

}  // namespace kindred
