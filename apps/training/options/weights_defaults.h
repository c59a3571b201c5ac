// Defaults of pretrain that a file of weights gives: a run that begins with an encoder has its model and stem, and
// prepares images as the encoder knows them.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <nlohmann/json_fwd.hpp>

namespace kindred {

// Model, stem, image size and pixel statistics, where neither flags nor a preset give them. Prints a line that says
// what was taken, and what of it the file does not say and is an assumption. If the run is resumed, its own config.json
// gives them (`earlier`, or null), and the file need not be there any more. Throws Error(file).
void choose_by_weights(const PretrainFlags& flags, const PretrainOptions& asked, const nlohmann::json& earlier,
                       GivenOptions& chosen);

}  // namespace kindred
