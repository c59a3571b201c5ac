// How processes that train together begin at the same place. The first one alone has the folder of the run: it reads and
// writes files, chooses defaults, and the others take over what it has. So they need no folder, and a checkpoint does not
// say how many processes wrote it.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/communicator/communicator.h>

#include <nlohmann/json_fwd.hpp>

#include <functional>

namespace kindred {

// So long may processes wait for one that reads or writes files, or lists a set, which may lie on a slow disk and be large.
inline constexpr double seconds_for_files = 600;

// All processes must make each of these calls. With one process nothing is sent.

// The first process does this work, which may take long, and the others wait for it.
void first_alone(const Communicator& processes, const std::function<void()>& work);

// What `make` gives in the first process, in all of them; it is not called in the others.
nlohmann::json of_first(const Communicator& processes, const std::function<nlohmann::json()>& make);
GivenOptions options_of_first(const Communicator& processes, const std::function<GivenOptions()>& choose);

// Gives the others the first process's values of all parameters, of buffers, and of the tensors to which `others` are windows.
void share_tensors(const Communicator& processes, ParameterStore& store,
                   const Checkpoint::NamedTensors& others);
// The first process's position in the run.
RunState state_of_first(const Communicator& processes, const RunState& own);

// Throws Error(usage) if the processes train with different settings or on different images: they would not train what one
// process would. `config` is what the run says about itself (config_of_run).
void check_same_everywhere(const Communicator& processes, const nlohmann::json& config);

}  // namespace kindred
