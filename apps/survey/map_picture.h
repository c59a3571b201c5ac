// A map as a picture: a mark for each image, and the classes beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace kindred {

struct PictureOfMap {
  std::span<const float> xy;             // [images, 2], finite; at least one
  std::span<const std::int32_t> labels;  // [images]: index into `classes`; empty: the images have no classes
  const std::vector<std::string>& classes;
  std::size_t grey = 0;  // so many of the last of `classes` stand for no single class, and are grey
};

// A PNG of 900 pixels to a side, and 360 more for the names of the classes, if there are some; names for which there is no room
// are counted. Up to 32 classes have marks that differ in colour or shape. Throws Error(io).
void draw_map_picture(const std::filesystem::path& out, const PictureOfMap& map);

}  // namespace kindred
