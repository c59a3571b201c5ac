// Toy pictures: small, labelled, and drawn by formulas, so that everything runs without a download.
//
// A class is a shape and a texture ("star_checks"). Everything else is random: colours, place, size, rotation,
// the background, the blobs and lines that clutter it, light and noise. So neither a colour nor the mean
// brightness identifies a class. An encoder needs features that detect shape and texture in front of clutter.
#pragma once

#include <kindred/data/images/image.h>
#include <kindred/engine/random/philox.h>

#include <string>

namespace kindred {

constexpr int max_toy_classes = 36;  // 6 shapes x 6 textures

std::string toy_class_name(int label);  // label in [0, max_toy_classes)

// A picture of class `label`, size x size pixels, antialiased by supersampling. It is a function of the
// stream's key.
Image draw_toy_image(int label, int size, RandomStream& random);

}  // namespace kindred
