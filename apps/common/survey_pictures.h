// What check_data draws.
#pragma once

#include <kindred/apps/common/survey.h>
#include <kindred/data/recipe.h>

#include <filesystem>

namespace kindred {

// A bar for each class, a colour for each split.
void draw_class_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path);

// How long the shorter and the longer sides of the images are.
void draw_size_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path);

// A row of images for each class (of at most 50 classes, evenly spread). Damaged ones have a red frame.
void draw_contact_sheet(const SplitSurvey& split, const std::filesystem::path& path);

// An image of each class (of at most 12, evenly spread), and its augmented views, those of training with this
// seed.
void draw_views(const SplitSurvey& split, const std::vector<ViewGroup>& groups, std::uint64_t seed,
                const std::filesystem::path& path);

}  // namespace kindred
