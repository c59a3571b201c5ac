// Pillow's ImageEnhance.Sharpness.
#pragma once

#include <kindred/data/images/planes.h>

namespace kindred {

// Works in place: smooth + factor * (value - smooth), clipped. smooth is the rounded mean over 3 x 3 pixels in
// which the centre has weight five. The outermost pixels do not change. factor >= 0. `before` is memory that is
// kept from view to view.
void adjust_sharpness(Planes& view, float factor, Planes& before);

}  // namespace kindred
