// How long a training step would take on a GPU, worked out without one: the step runs on the device `plan`,
// what its kernels would do is counted (engine/work.h), and a table of the GPU's rates makes times of it.
#pragma once

#include <kindred/apps/common/gpu_rates.h>
#include <kindred/apps/common/memory_plan.h>
#include <kindred/data/dataset.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kindred {

struct LayerTime {
  std::string name;
  double forward = 0, backward = 0;  // seconds a step; an update counts as forward
};

// All work of one kind in a step.
struct KindTime {
  std::string name;
  std::int64_t launches = 0, read = 0, written = 0;  // bytes
  double operations = 0, seconds = 0;
};

struct TimePlan {
  std::vector<LayerTime> layers;  // in the order in which a step comes by; of every run of a layer in the step
  std::vector<KindTime> kinds;    // the longest first
  double kernels = 0;             // seconds a step: the sum of either
  double starting = 0;            // seconds a step that the host takes beyond that to start them
  double copies = 0;              // seconds a step of batches on their way to the GPU, beside the kernels
  std::int64_t views = 0;         // of a step
  std::int64_t steps = 0;         // of the run

  double step_seconds() const { return std::max(kernels + starting, copies); }
  double views_per_second() const { return static_cast<double>(views) / step_seconds(); }
  double run_hours() const { return static_cast<double>(steps) * step_seconds() / 3600; }
};

// Of a run with so many steps an epoch. `pictures` is the shape [n, h, w, 3] of training images that stay on
// the GPU; a scalar where they do not.
TimePlan plan_time(const PretrainOptions& options, const GpuRates& rates, int classes, std::int64_t epoch_steps,
                   const Shape& pictures = {});

// What `--dry-run --gpu` prints: a line a layer, a line a kind of work, memory, and the last line
// "predicted: N ms a step, N views/s, N h for the run".
std::string describe(const TimePlan& times, const MemoryPlan& memory, const GpuRates& rates,
                     const std::string& advice);
// The same for programs (docs/running.md).
nlohmann::json to_json(const TimePlan& times, const MemoryPlan& memory, const GpuRates& rates);

// `pretrain --dry-run --gpu`: prints it, and writes --prediction FILE where that was given.
void predict(const PretrainOptions& options, const Dataset& train);

}  // namespace kindred
