// IMAGE ... of `similar search`: what cannot be read is named in its place, and the others are searched for.
#pragma once

#include <string>
#include <vector>

namespace kindred {

struct AskedImage {
  std::string path{};
  std::string problem{};  // why it is no image, if that is known before it is read
};

// Image files as they are; for a folder all images below it, at any depth; for a list (.txt) the paths in its lines, relative to
// its folder. A folder without images, a list that cannot be read or has no paths, and a line that is not the path of a file
// are a single image with a problem. Throws Error(usage) for an empty name.
std::vector<AskedImage> asked_images(const std::vector<std::string>& given);

}  // namespace kindred
