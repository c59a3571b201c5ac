// Toy pictures: small, labelled, drawn by formula, so that everything runs with nothing downloaded.
//
// A class is a shape and a texture ("star_checks"). Everything else is drawn at random: colours, place, size,
// rotation, the background, blobs and lines that clutter it, light and noise. So neither a colour nor the mean
// brightness tells a class: it takes features that see shape and texture, in front of clutter.
#pragma once

#include <kindred/data/image.h>
#include <kindred/engine/philox.h>

#include <string>

namespace kindred {

constexpr int max_toy_classes = 36;  // 6 shapes x 6 textures

std::string toy_class_name(int label);  // label in [0, max_toy_classes)

// A picture of class `label`, size x size pixels, antialiased by supersampling. A function of the stream's key.
Image draw_toy_image(int label, int size, RandomStream& random);

}  // namespace kindred
