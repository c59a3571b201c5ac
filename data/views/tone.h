// Operations that map each level of a channel to another one, in place, on 8-bit planes. They give the same
// levels as Pillow's ImageOps. solarize_add is AutoAugment's own (Cubuk et al. 2018, arXiv 1805.09501, and the
// authors' code).
#pragma once

#include <kindred/data/images/planes.h>

namespace kindred {

// Keeps the highest `bits` bits of each value; `bits` is 0 to 8.
void posterize(Planes& view, int bits);

// Inverts values that are at least `threshold`. 256 changes nothing, 0 inverts all.
void solarize(Planes& view, float threshold);

// Adds `addition` (0 to 255) to values below 128, clipped.
void solarize_add(Planes& view, int addition);

// 255 - value.
void invert(Planes& view);

// Stretches each channel so that its darkest value becomes 0 and its brightest 255. A channel with a single
// value does not change.
void autocontrast(Planes& view);

// Makes each channel's histogram as even as a mapping of levels can. A channel does not change if it has a
// single value, or fewer than 255 pixels below its brightest value.
void equalize(Planes& view);

}  // namespace kindred
