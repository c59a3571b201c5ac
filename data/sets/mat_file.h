// Reads one kind of MATLAB file: meta.mat of ImageNet's development kit, a struct array whose elements give the
// number and the name ("n02119789") of each class.
//
// The format is Level 5 MAT-files, little-endian (MathWorks, "MAT-File Format", chapter 1), as MATLAB and SciPy
// write them: numeric and character fields, optionally compressed by zlib.
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

// Returns the first struct array that has the fields ILSVRC2012_ID and WNID, in its order. Throws Error(data),
// which names `path`.
std::vector<Synset> read_synsets(std::span<const std::uint8_t> file, const std::string& path);

}  // namespace kindred
