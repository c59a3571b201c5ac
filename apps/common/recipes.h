// Published and tried sets of hyper-parameters, by name.
#pragma once

#include <kindred/apps/common/pretrain_options.h>

namespace kindred {

// Error(usage) listing the known names for an unknown one.
HyperParameters recipe_named(const std::string& recipe);

// One line a recipe, for --help.
std::string recipe_help();

}  // namespace kindred
