// The pictures that check_data draws.
#pragma once

#include <kindred/apps/survey/survey.h>
#include <kindred/data/views/recipe.h>

#include <filesystem>

namespace kindred {

// One bar for each class and one colour for each split.
void draw_class_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path);

// The lengths of the shorter and the longer sides of the images.
void draw_size_histogram(const std::vector<SplitSurvey>& splits, const std::filesystem::path& path);

// A row of images for each class (for at most 50 classes, evenly spread). Damaged images have a red frame.
void draw_contact_sheet(const SplitSurvey& split, const std::filesystem::path& path);

// One image of each class (for at most 12 classes, evenly spread) and its augmented views, which are those of
// training with this seed.
void draw_views(const SplitSurvey& split, const std::vector<ViewGroup>& groups, std::uint64_t seed,
                const std::filesystem::path& path);

}  // namespace kindred
