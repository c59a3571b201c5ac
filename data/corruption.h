// The corruptions of ImageNet-C (Hendrycks and Dietterich 2019, arXiv 1903.12261), to measure how much of an
// accuracy survives them. Constants and steps are those of the authors' program (make_imagenet_c.py), which are
// meant for images of 224 pixels; random numbers are of course others.
//
// Fourteen of the fifteen. Frost is left out: it lays photographs of frosted windows over the image, which
// Kindred does not have.
//
// The published images are JPEG files of quality 85, so the result is passed through that as well.
#pragma once

#include <kindred/engine/philox.h>

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
Corruption parse_corruption(std::string_view text);  // Error(usage) lists the names

// AlexNet's error on ImageNet-C, in [0, 1], averaged over the severities: what the paper divides by.
double alexnet_error(Corruption corruption);

// Changes a square RGB picture [side, side, 3] in place. `severity` 1 to 5. The same stream gives the same
// picture.
void corrupt(std::span<std::uint8_t> pixels, int side, Corruption corruption, int severity,
             RandomStream& random);

}  // namespace kindred
