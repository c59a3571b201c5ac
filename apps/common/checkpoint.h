// The state of a training run in one file: what it takes to go on as if nothing had happened.
#pragma once

#include <kindred/engine/optimizer/optimizer.h>

#include <filesystem>

namespace kindred {

struct RunPosition {
  std::int64_t epochs_done = 0;
  std::int64_t steps_done = 0;
};

// Parameters, running statistics, optimizer state and position, in Kindred's own layout. Replaces the file in
// one step: after a full disk the previous one is still there. Error(io).
void save_checkpoint(const std::filesystem::path& path, const ParameterStore& store, const Optimizer& optimizer,
                     const RunPosition& position);

// Error(file) when it is damaged or belongs to another model or optimizer; then nothing was changed.
RunPosition load_checkpoint(const std::filesystem::path& path, ParameterStore& store, Optimizer& optimizer);

}  // namespace kindred
