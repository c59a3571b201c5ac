// The colour operations of torchvision's ColorJitter and RandomGrayscale on Pillow images, in place, on 8-bit
// planes. Each operation converts to 8 bits where Pillow does (both truncate). Results agree within one level.
#pragma once

#include <kindred/data/images/planes.h>

namespace kindred {

// value * factor, clipped. factor >= 0.
void adjust_brightness(Planes& view, float factor);

// Scales the distance from the rounded mean of the gray picture: mean + factor * (value - mean), clipped.
void adjust_contrast(Planes& view, float factor);

// Scales the distance from each pixel's gray: gray + factor * (value - gray), clipped.
void adjust_saturation(Planes& view, float factor);

// Rotates the hue by `turns` (in [-.5, .5]) in Pillow's 8-bit HSV, whose rounding is part of the operation.
void adjust_hue(Planes& view, float turns);

// Sets every channel to the gray value.
void to_gray(Planes& view);

}  // namespace kindred
