#include <kindred/data/views/policy.h>

#include <cmath>

namespace kindred {
namespace {

using enum ImageOperation;

// Cubuk et al. 2018, table 9.
constexpr PolicyPair imagenet_pairs[] = {
    {{{posterize, 0.4, 8}, {rotate, 0.6, 9}}},  {{{solarize, 0.6, 5}, {autocontrast, 0.6, 0}}},
    {{{equalize, 0.8, 0}, {equalize, 0.6, 0}}}, {{{posterize, 0.6, 7}, {posterize, 0.6, 6}}},
    {{{equalize, 0.4, 0}, {solarize, 0.2, 4}}}, {{{equalize, 0.4, 0}, {rotate, 0.8, 8}}},
    {{{solarize, 0.6, 3}, {equalize, 0.6, 0}}}, {{{posterize, 0.8, 5}, {equalize, 1.0, 0}}},
    {{{rotate, 0.2, 3}, {solarize, 0.6, 8}}},   {{{equalize, 0.6, 0}, {posterize, 0.4, 6}}},
    {{{rotate, 0.8, 8}, {color, 0.4, 0}}},      {{{rotate, 0.4, 9}, {equalize, 0.6, 0}}},
    {{{equalize, 0.0, 0}, {equalize, 0.8, 0}}}, {{{invert, 0.6, 0}, {equalize, 1.0, 0}}},
    {{{color, 0.6, 4}, {contrast, 1.0, 8}}},    {{{rotate, 0.8, 8}, {color, 1.0, 2}}},
    {{{color, 0.8, 8}, {solarize, 0.8, 7}}},    {{{sharpness, 0.4, 7}, {invert, 0.6, 0}}},
    {{{shear_x, 0.6, 5}, {equalize, 1.0, 0}}},  {{{color, 0.4, 0}, {equalize, 0.6, 0}}},
    {{{equalize, 0.4, 0}, {solarize, 0.2, 4}}}, {{{solarize, 0.6, 5}, {autocontrast, 0.6, 0}}},
    {{{invert, 0.6, 0}, {equalize, 1.0, 0}}},   {{{color, 0.6, 4}, {contrast, 1.0, 8}}},
    {{{equalize, 0.8, 0}, {equalize, 0.6, 0}}},
};

// Cubuk et al. 2018, table 7.
constexpr PolicyPair cifar10_pairs[] = {
    {{{invert, 0.1, 0}, {contrast, 0.2, 6}}},          {{{rotate, 0.7, 2}, {translate_x, 0.3, 9}}},
    {{{sharpness, 0.8, 1}, {sharpness, 0.9, 3}}},      {{{shear_y, 0.5, 8}, {translate_y, 0.7, 9}}},
    {{{autocontrast, 0.5, 0}, {equalize, 0.9, 0}}},    {{{shear_y, 0.2, 7}, {posterize, 0.3, 7}}},
    {{{color, 0.4, 3}, {brightness, 0.6, 7}}},         {{{sharpness, 0.3, 9}, {brightness, 0.7, 9}}},
    {{{equalize, 0.6, 0}, {equalize, 0.5, 0}}},        {{{contrast, 0.6, 7}, {sharpness, 0.6, 5}}},
    {{{color, 0.7, 7}, {translate_x, 0.5, 8}}},        {{{equalize, 0.3, 0}, {autocontrast, 0.4, 0}}},
    {{{translate_y, 0.4, 3}, {sharpness, 0.2, 6}}},    {{{brightness, 0.9, 6}, {color, 0.2, 8}}},
    {{{solarize, 0.5, 2}, {invert, 0.0, 0}}},          {{{equalize, 0.2, 0}, {autocontrast, 0.6, 0}}},
    {{{equalize, 0.2, 0}, {equalize, 0.6, 0}}},        {{{color, 0.9, 9}, {equalize, 0.6, 0}}},
    {{{autocontrast, 0.8, 0}, {solarize, 0.2, 8}}},    {{{brightness, 0.1, 3}, {color, 0.7, 0}}},
    {{{solarize, 0.4, 5}, {autocontrast, 0.9, 0}}},    {{{translate_y, 0.9, 9}, {translate_y, 0.7, 9}}},
    {{{autocontrast, 0.9, 0}, {solarize, 0.8, 3}}},    {{{equalize, 0.8, 0}, {invert, 0.1, 0}}},
    {{{translate_y, 0.7, 9}, {autocontrast, 0.9, 0}}},
};

bool is_factor(ImageOperation operation) {
  return operation == brightness || operation == contrast || operation == color || operation == sharpness;
}

}  // namespace

std::span<const PolicyPair> policy_pairs(Policy policy) {
  if (policy == Policy::cifar10) return cifar10_pairs;
  return imagenet_pairs;
}

bool has_sign(ImageOperation operation) {
  return is_factor(operation) || (operation >= shear_x && operation <= rotate);
}

bool has_strength(ImageOperation operation) {
  return operation != hue && operation != gray && operation != blur;
}

float operation_value(ImageOperation operation, int level, int levels, int size) {
  const double strength = double(level) / (levels - 1);
  if (is_factor(operation)) return static_cast<float>(1 + 0.9 * strength);
  switch (operation) {
    case shear_x:
    case shear_y:
      return static_cast<float>(0.3 * strength);
    case translate_x:
    case translate_y:
      return static_cast<float>(std::floor(150.0 / 331 * size * strength));
    case rotate:
      return static_cast<float>(30 * strength);
    case posterize:
      return static_cast<float>(8 - std::nearbyint(4 * strength));
    case solarize:
      return static_cast<float>(255 * (1 - strength));
    case solarize_add:
      return static_cast<float>(std::floor(110 * strength));
    case cutout:
      return static_cast<float>(std::floor(80.0 / 224 * size * strength));
    default:
      return 0;
  }
}

float opposite(ImageOperation operation, float value) {
  return is_factor(operation) ? 2 - value : -value;
}

}  // namespace kindred
