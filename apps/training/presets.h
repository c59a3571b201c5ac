// Presets: published and tried sets of hyper-parameters, by name. (A recipe is an augmentation: data/views/recipe.h.)
#pragma once

#include <kindred/apps/training/pretrain_options.h>

namespace kindred {

// Error(usage) listing the known names for an unknown one.
HyperParameters preset_named(const std::string& preset);

// For --help, a line for each preset.
std::string preset_help();

}  // namespace kindred
