// What programs say about images that were not read as they should be.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace kindred {

struct BadImage;  // data/loading/sample_reader.h

// "2 images could not be read or are damaged; they are listed in RUN/bad_images.tsv". `when` stands behind the count:
// " so far".
std::string bad_images_line(std::size_t count, const std::filesystem::path& list, const std::string& when = "");

// "1 image could not be read and is left out: a.jpg: an HTML page"; of several one is named. Precondition: count >= 1.
std::string left_out_line(std::size_t count, const BadImage& example);

}  // namespace kindred
