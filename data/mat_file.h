// The one MATLAB file that matters here: meta.mat of ImageNet's development kit, a struct array whose elements
// tell the number and the name ("n02119789") of each class.
//
// Level 5 MAT-files, little-endian (MathWorks, "MAT-File Format", chapter 1), as MATLAB and SciPy write them:
// numeric and character fields, compressed by zlib or not.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kindred {

struct Synset {
  std::int64_t id = 0;  // ILSVRC2012_ID: the order of the development kit
  std::string wnid;
};

// The first struct array with the fields ILSVRC2012_ID and WNID, in its order. Error(data), naming `path`.
std::vector<Synset> read_synsets(std::span<const std::uint8_t> file, const std::string& path);

}  // namespace kindred
