// Presets: named sets of hyper-parameters, published or tested. (A recipe is an augmentation:
// data/views/recipe.h.)
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <string>

namespace kindred {

// Throws Error(usage), which lists the known names, for an unknown one.
GivenOptions preset_named(const std::string& preset);

// One line for each preset, for --help.
std::string preset_help();

}  // namespace kindred
