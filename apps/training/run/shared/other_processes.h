// What a run says at its start if it has another number of processes than the run whose settings it takes. It starts no others
// by itself: how many there are is said by its own command, and not by a file.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace kindred {

// For a new run with the settings of config.json of another one, which --config names. A note that the batches are the same and
// the weights equal to rounding; or a warning, where a batch norm sees other images, that they are not. Both name the flag for
// the number of then. Returns a whole line; "" if the numbers are equal, or if the settings are not those of a run.
std::string replay_with_others(const PretrainOptions& options, const nlohmann::json& settings);

// For a run that goes on from a checkpoint, with the config.json that it had until then. Only the warning.
std::string going_on_with_others(const PretrainOptions& options, const nlohmann::json& settings);

}  // namespace kindred
