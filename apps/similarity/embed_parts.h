// The features of images, computed and written row by row: memory does not grow with their number.
#pragma once

#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/similarity/known_images.h>
#include <kindred/apps/similarity/segment_writer.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/data/sets/dataset.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace kindred {

inline constexpr int usual_thumbnail_side = 96;

// The pictures of a batch, as the network sees them, with the longer side at most `side`.
std::vector<Image> pictures_of(const Batch& batch, int image_size, int side);

// Embeds all images of the parts without augmentation, and gives each readable one that is not `known` a row; those that cannot
// be read are listed in `bad`. With `kept_side` 0 there are no pictures. After a signal it throws Error(interrupted),
// "SIGINT: <stopped>".
void embed_parts(const std::vector<Dataset>& parts, FrozenEncoder& frozen, int kept_side,
                 const std::string& stopped, KnownImages& known, SegmentWriter& segment,
                 std::vector<BadImage>& bad);

}  // namespace kindred
