// A picture of what the network sees: images of the training set and their views, RUN/views.jpg.
#pragma once

#include <kindred/apps/metrics/picture_file.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/views/recipe.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// A row of the sheet.
struct ImageWithViews {
  std::int64_t index = 0;      // of the image in the set
  Image image{};               // shrunk to most_cell, if it is larger
  std::vector<Image> views{};  // the first most_views_shown of the first epoch, shrunk in the same way
};

inline constexpr int most_cell = 128;  // pixels
inline constexpr std::size_t most_images_shown = 12, most_views_shown = 12;

// Which images are shown: of at most 12 classes, evenly spread over those that have images, the first one; of fewer classes
// more of each, evenly spread, as long as they are not more than 12 together.
std::vector<std::int64_t> images_of_sheet(const Dataset& train);

// Their views, as a run with this seed makes them when it meets each image for the first time. Images that cannot be read are
// left out. Ends early after a signal.
std::vector<ImageWithViews> views_of_sheet(const Dataset& train, const std::vector<ViewGroup>& groups,
                                           std::uint64_t seed);

// A JPEG of at most most_picture_bytes: a row for each image, which stands first. Its text (picture_file.h) says how the views
// are made, and the class and the name of the image of each row, as Markdown. Empty if there are no rows. The same arguments
// give the same bytes.
std::string views_sheet(const Dataset& train, const std::vector<ImageWithViews>& rows,
                        const std::vector<ViewGroup>& groups, std::uint64_t seed);

// Writes it into the folder of a run, unless exactly this file is there already. A link is replaced, and what it points to stays;
// a file or folder of this name that no run drew stays too (drawn_files.h). Never throws: a run does without the picture, and a
// line that begins with "warning: " says why. Not after a signal.
void write_views_sheet(const std::filesystem::path& run, const Dataset& train,
                       const std::vector<ViewGroup>& groups, std::uint64_t seed);

}  // namespace kindred
