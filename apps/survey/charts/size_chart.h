// The picture of how large the images are.
#pragma once

#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/charts/size_bins.h>

#include <string>
#include <vector>

namespace kindred {

inline constexpr int most_size_bins = 16;  // what the picture has room for

// A histogram of the shorter sides above one of the longer sides, from count_sides(). The legend has an entry for each split.
Canvas size_chart(const SizeBins& shorter, const SizeBins& longer, const std::vector<std::string>& legend,
                  const std::string& note);

}  // namespace kindred
