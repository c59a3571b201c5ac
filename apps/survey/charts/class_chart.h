// The picture of how many images each class has.
#pragma once

#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/charts/class_counts.h>

namespace kindred {

// A row for each class, with a bar for each split; of more than most_classes_in_chart the largest and the smallest classes alone.
inline constexpr std::size_t most_classes_in_chart = 100;
Canvas class_chart(const ClassCounts& counts);

}  // namespace kindred
