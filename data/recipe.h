// Augmentation recipes: what is random about a view, as numbers.
//
//   none        resize and centre crop; nothing is random
//   probe       random resized crop, horizontal flip
//   cifar       + colour jitter .4 .4 .4 .1 with probability .8, gray with .2; crop area (.2, 1)
//   simaugment  + colour jitter .8 .8 .8 .2 with probability .8, gray with .2, Gaussian blur with .5; area
//   (.08, 1)
//
// Sources: the CIFAR recipe of Khosla et al. (arXiv 2004.11362); SimCLR (arXiv 2002.05709, appendix A).
#pragma once

#include <string>
#include <string_view>

namespace kindred {

struct Recipe {
  std::string name = "none";

  bool random_crop = false;  // otherwise resize and centre crop
  float min_area = 1.0f;     // share of the image's area that the crop covers: uniform in [min_area, max_area]
  float max_area = 1.0f;
  float min_ratio = 3.0f / 4.0f;  // width / height of the crop: log-uniform in [min_ratio, max_ratio]
  float max_ratio = 4.0f / 3.0f;
  float flip_probability = 0.0f;

  float jitter_probability = 0.0f;
  float brightness = 0.0f;  // factor uniform in [max(0, 1 - x), 1 + x]; so too the next two
  float contrast = 0.0f;
  float saturation = 0.0f;
  float hue = 0.0f;  // shift uniform in [-x, x], in turns; at most .5

  float gray_probability = 0.0f;
  float blur_probability = 0.0f;
  float min_sigma = 0.1f;  // of the blur, in pixels: uniform in [min_sigma, max_sigma]
  float max_sigma = 2.0f;
};

// The recipe of this name for images of `size` x `size`. The size matters to `probe` alone: up to 64 pixels its
// crops cover at least .2 of the area, as the CIFAR recipe's, beyond that .08. Error(usage) lists the names.
Recipe recipe(std::string_view name, int size = 224);

// One line that says everything, for logs and config.json: "crop area 0.2-1, flip 0.5, ...".
std::string describe(const Recipe& recipe);

}  // namespace kindred
