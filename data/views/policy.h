// The policies of AutoAugment, and the strengths of the operations of AutoAugment and RandAugment, as in
// torchvision's tables.
#pragma once

#include <kindred/data/views/recipe.h>

#include <span>

namespace kindred {

// An operation that is applied with some probability. `level`, 0 to 9, is its strength in ninths. It is ignored
// for operations without a strength.
struct PolicyOperation {
  ImageOperation operation;
  double probability;
  int level;
};
using PolicyPair = std::array<PolicyOperation, 2>;

std::span<const PolicyPair> policy_pairs(Policy policy);  // 25 pairs

// Returns true if the direction of the operation is random: shears, shifts, rotations, and factors around 1.
bool has_sign(ImageOperation operation);

// Returns true if RandAugment may use it.
bool has_strength(ImageOperation operation);

// The value (image_operation.h) of an operation at strength level / (levels - 1), the positive one if the
// operation has a sign: shears of up to .3, shifts of up to 150/331 of the side, rotations of up to 30 degrees,
// factors of up to 1.9, posterize from 8 bits to 4, solarize from 255 to 0, solarize_add up to 110, cutout up
// to 80/224 of the side.
float operation_value(ImageOperation operation, int level, int levels, int size);

// The value for the other direction: -value, or 2 - value for a factor.
float opposite(ImageOperation operation, float value);

}  // namespace kindred
