// Pillow's ImageEnhance.Sharpness.
#pragma once

#include <kindred/data/planes.h>

namespace kindred {

// In place: smooth + factor * (value - smooth), clipped, where smooth is the mean over 3 x 3 pixels in which
// the middle counts five times, rounded; the outermost pixels stay. factor >= 0. `before` is memory, kept from
// view to view.
void adjust_sharpness(Planes& view, float factor, Planes& before);

}  // namespace kindred
