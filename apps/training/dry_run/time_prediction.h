// How long a training step would take on a GPU, predicted without one. The step runs on the device `plan`, the
// work of its kernels is counted (engine/kernels/work.h), and a table of the GPU's rates converts it to times.
#pragma once

#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/data/sets/dataset.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kindred {

struct LayerTime {
  std::string name;
  double forward = 0, backward = 0;  // seconds per step; an update counts as forward
};

// All work of one kind in a step.
struct KindTime {
  std::string name;
  std::int64_t launches = 0, read = 0, written = 0;  // bytes
  double operations = 0, seconds = 0;
};

struct TimePrediction {
  std::vector<LayerTime> layers;  // in the order of the step; sums over all runs of a layer
  std::vector<KindTime> kinds;    // longest first
  double kernels = 0;             // seconds per step: the sum of either list
  double starting = 0;            // seconds per step that the host additionally needs to start them
  double copies = 0;              // seconds per step to copy batches to the GPU, in parallel with the kernels
  std::int64_t views = 0;         // per step, of all processes; the seconds are those of one
  std::int64_t steps = 0;         // per run

  double step_seconds() const { return std::max(kernels + starting, copies); }
  double views_per_second() const { return static_cast<double>(views) / step_seconds(); }
  double run_hours() const { return static_cast<double>(steps) * step_seconds() / 3600; }
};

// The prediction for a run with this many steps per epoch. `pictures` is the shape [n, h, w, 3] of training
// images that stay on the GPU, or a scalar shape if they do not.
TimePrediction predict_time(const PretrainOptions& options, const GpuRates& rates, int classes,
                            std::int64_t epoch_steps, const Shape& pictures = {});

// The output of `--dry-run --gpu`: a line for each layer, a line for each kind of work, memory, and the last
// line "predicted: N ms a step, N views/s, N h for the run".
std::string describe(const TimePrediction& times, const MemoryPrediction& memory, const GpuRates& rates,
                     const std::string& advice);
// The same in a form that programs can read (docs/running.md).
nlohmann::json to_json(const TimePrediction& times, const MemoryPrediction& memory, const GpuRates& rates);

// `pretrain --dry-run --gpu`: prints the prediction, and writes it to --prediction FILE if that was given.
void predict(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
