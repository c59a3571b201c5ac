// Everything that decides the future of a run, copied to the host, and the file that holds it.
//
// A checkpoint is taken between two steps. It is a copy: training goes on while it is written. The file is
// safetensors in Kindred's own layout with a checksum over all of it; the run's position and its metrics so far
// stand in its metadata.
#pragma once

#include <kindred/engine/atomic_file.h>
#include <kindred/engine/parameters.h>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// What a run is besides its tensors. Times and sums are those of the epoch that is under way.
struct RunState {
  std::int64_t epochs_done = 0;   // epochs whose line is in `metrics`
  std::int64_t batches_done = 0;  // of the epoch under way
  std::int64_t steps_done = 0;    // batches since the start of the run: where the schedule is
  std::int64_t skipped = 0;       // of batches_done: steps without an update, --on-nonfinite skip
  double loss_sum = 0;            // over the steps that made an update
  double probe_loss_sum = 0;      // of the online probe, over the same
  double seconds = 0, step_seconds = 0, wait_seconds = 0;
  std::optional<double> best;  // nearest-neighbour accuracy, or minus the loss where there is none
  std::vector<nlohmann::json> metrics;
  nlohmann::json features;  // figures of the epoch's last batch (diagnosis.h), or null: it was not reached
  std::string data;         // fingerprint of the data set: what batches_done counts

  void begin_epoch();  // nothing of it is done yet

  nlohmann::json to_json() const;
  // Throws an exception of nlohmann::json's when it is none of to_json()'s.
  static RunState from_json(const nlohmann::json& value);
};

class Checkpoint {
 public:
  using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

  // Copies parameters, buffers and `others`: the optimizer's state and whatever else learns. Waits for the
  // device.
  Checkpoint(const ParameterStore& store, const NamedTensors& others, RunState run);
  // Reads a file. Error(file) when it is damaged, or no checkpoint.
  explicit Checkpoint(const std::filesystem::path& path);

  // Replaces the file in one step: whatever fails, the previous one is still there. Error(io).
  void save(const std::filesystem::path& path, FileOperations& files = system_files()) const;

  // Sets the model, and what the tensors of `others` are windows on. Error(file) when the checkpoint belongs to
  // another model; then nothing was changed.
  void restore(ParameterStore& store, const NamedTensors& others) const;

  // Parameters and buffers alone, for save_encoder().
  const ParameterStore& model() const { return *model_; }
  const RunState& run() const { return run_; }

 private:
  std::shared_ptr<ParameterStore> model_;  // holds the copies; null for a checkpoint from a file
  NamedTensors tensors_;
  RunState run_;
  std::string path_;  // of the file it came from
};

}  // namespace kindred
