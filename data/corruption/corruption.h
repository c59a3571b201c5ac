// The corruptions of ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261), to measure how much accuracy
// is left on them. Constants and steps come from the authors' program (make_imagenet_c.py) and are meant for
// images of 224 pixels. The random numbers differ from the authors'.
//
// Fourteen of the fifteen corruptions are here. Frost is missing: it overlays photographs of frosted windows,
// which Kindred does not have.
//
// The published images are JPEG files of quality 85, so the result is compressed and decompressed in the same
// way.
#pragma once

#include <kindred/engine/random/philox.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kindred {

enum class Corruption : std::uint8_t {
  gaussian_noise,
  shot_noise,
  impulse_noise,
  defocus_blur,
  glass_blur,
  motion_blur,
  zoom_blur,
  snow,
  fog,
  brightness,
  contrast,
  elastic_transform,
  pixelate,
  jpeg_compression,
};

inline constexpr int worst_severity = 5;
inline constexpr int smallest_corrupted_side = 32;  // pixels
inline constexpr const char* corruptions_left_out = "frost";

const std::vector<Corruption>& all_corruptions();    // in the paper's order
const char* name(Corruption corruption);             // "gaussian_noise"
Corruption parse_corruption(std::string_view text);  // throws Error(usage), which lists the names

// AlexNet's error on ImageNet-C, in [0, 1], averaged over the severities. The paper divides by it.
double alexnet_error(Corruption corruption);

// Changes a square RGB picture [side, side, 3] in place. `severity` is 1 to 5. The same random stream gives the
// same picture.
void corrupt(std::span<std::uint8_t> pixels, int side, Corruption corruption, int severity,
             RandomStream& random);

}  // namespace kindred
