// Shared by the tests of data/: pictures by formula, files of every format written by hand, temporary folders.
#pragma once

#include "../errors.h"

#include <kindred/data/images/image.h>
#include <kindred/data/images/planes.h>
#include <kindred/engine/error.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred::test {

using Bytes = std::vector<std::uint8_t>;

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A picture with many colours and some structure; the same in tests/golden/make_augment_golden.py.
Image formula_image(int height, int width);

// A smooth picture, which JPEG changes by only a few levels.
Image smooth_image(int height, int width, int phase = 0);

// Square pictures as planes, and back.
Planes planes_of(const Image& image);
Image image_of(const Planes& planes);

int largest_difference(const Image& a, const Image& b);

// A JPEG of raw components (1: gray, 3: YCbCr made from RGB, 4: CMYK as Adobe stores it),
// quality 95, no subsampling.
Bytes write_jpeg(const Bytes& samples, int height, int width, int components, bool progressive = false);

// The same with every option of JPEG.
struct JpegSpec {
  int height = 0, width = 0;
  int components = 3;
  int horizontal = 1, vertical = 1;  // how many times more luma samples than chroma ones
  bool progressive = false;
  bool coarse = false;  // progressive, and the last scans are left out
  bool arithmetic = false;
  int restart_rows = 0;  // rows of blocks between restart markers; 0: none
  bool ycck = false;     // for four components
  int quality = 95;
};
Bytes write_jpeg(const JpegSpec& spec, const Bytes& samples);

// A PNG from given rows without filter bytes. Its data is stored, not compressed.
struct PngSpec {
  int height = 0, width = 0;
  int bit_depth = 8;
  int color_type = 2;  // 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA
  Bytes palette;       // RGB triples
};
Bytes write_png(const PngSpec& spec, const Bytes& rows);

Bytes write_bmp(const Image& image);  // 24 bits

// A new folder, which is removed with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path path() const { return path_; }
  std::string string() const { return path_.string(); }

  // Writes path()/name and makes the folders that it needs.
  void write(const std::string& name, const Bytes& bytes) const;

 private:
  std::filesystem::path path_;
};

// Class folders with `per_class` small JPEG files each, whose colour differs from file to file.
void write_class_folders(const TempFolder& folder, const std::string& split,
                         const std::vector<std::string>& classes, int per_class, int side = 20);

}  // namespace kindred::test
