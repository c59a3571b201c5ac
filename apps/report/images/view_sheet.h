// Augmented views as the network sees them.
#pragma once

#include <kindred/apps/report/run_files.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/views/recipe_json.h>

#include <string>

namespace kindred {

// How the run makes its views, as its config.json says. Throws Error(file).
ImageViews views_of_run(const RunFiles& run);

// A gallery of at most 8 images, each in front of up to 8 of its views: those of apps/training/run/sheet, which the run makes in
// its first epoch.
std::string view_sheet(const Dataset& train, const ImageViews& views, std::uint64_t seed);

}  // namespace kindred
