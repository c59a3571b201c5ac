// What the charts of check_data have in common: colours, heading, legend.
#pragma once

#include <kindred/apps/survey/canvas.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

inline constexpr int chart_margin = 20, chart_width = 1100;
// Sizes of text, in pixels per em.
inline constexpr int title_size = 20, label_size = 13, small_size = 11;

Color split_color(std::size_t split);

// A title, and below it a square and a text for each entry, and a note beside them. Returns the first row below.
int draw_heading(Canvas& canvas, const std::string& title, const std::vector<std::string>& legend,
                 const std::string& note);

// What the heading takes.
inline constexpr int heading_height = chart_margin + 64;

// The length of a bar for `value`, where `full` has `length` pixels: at least one if there is anything.
int bar_length(std::int64_t value, std::int64_t full, int length);

}  // namespace kindred
