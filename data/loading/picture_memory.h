// The memory that loading the pictures of a set takes. It is known from their headers: nothing is decoded.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace kindred {

// What a thread holds while it loads a picture, in bytes.
struct PictureMemory {
  int height = 0, width = 0;
  std::size_t file = 0;     // its bytes as they are stored; 0 if these are mapped
  std::size_t pixels = 0;   // as they are decoded
  std::size_t decoder = 0;  // ImageHeader::decoder_bytes

  std::size_t peak() const { return file + pixels + decoder; }
  // What the thread keeps afterwards, for the next picture. Of a decoder these are at most two buffers.
  std::size_t kept() const { return file + pixels + std::min(decoder, 2 * most_kept_by_decoder); }
};

struct MemoryOfPictures {
  PictureMemory largest{};     // the one with the highest peak
  std::size_t all_pixels = 0;  // bytes of all pictures of the set as they are decoded
};

// How much is looked at.
struct LookLimits {
  std::int64_t headers = 4096;      // of pictures that are spread over the set
  std::int64_t sizes = 65536;       // of files, also spread; and of these
  std::int64_t largest_files = 64;  // headers of those with the most bytes
  double seconds_for_each = 1;      // of these three; at least one picture is looked at
};

// The memory of the pictures, from the headers of all of them, or of a part of a large set: then `largest` is the
// largest that was found, and `all_pixels` is an estimate, in which pictures that were not looked at have the mean size. A
// picture that cannot be read takes none. A file is read as a whole to see its header. Throws as read_file() does.
MemoryOfPictures memory_of_pictures(const Dataset& set, const LookLimits& limits = {});

}  // namespace kindred
