// A map as a table that other programs read.
#pragma once

#include <kindred/apps/analysis/image_table.h>

#include <span>
#include <string>

namespace kindred {

// CSV, a line for each row of the table: path,class,x,y, or without classes path,x,y. The class of an image without one is empty.
// places [rows, 2].
std::string map_table(const ImageTable& table, std::span<const float> places);

}  // namespace kindred
