// The EXIF orientation: how a stored picture must be turned and mirrored to be seen upright. Cameras and phones store
// the pixels as the sensor lies, and note with the tag 0x0112 how they were held.
//
// The tag is read from JPEG (the segment APP1), PNG (the chunk eXIf, or else the text that ImageMagick wrote before that
// chunk existed), WebP (the chunk EXIF) and TIFF (its own first directory). HEIC and AVIF have transformations of their own, which libheif applies while it decodes. An orientation
// that is only in XMP is not read.
#pragma once

#include <kindred/data/images/decode.h>
#include <kindred/data/images/image.h>

#include <cstdint>
#include <span>

namespace kindred {

// Stored pixels that are seen as they lie.
inline constexpr int upright = 1;

// The orientation of a file of this format: 1 to 8, in EXIF's numbers; 1 if there is none, or none that is valid. The
// file is not trusted: no length or offset in it leads beyond its end, and none is followed twice.
int exif_orientation(std::span<const std::uint8_t> file, ImageFormat format);

// True if height and width change places.
constexpr bool swaps_sides(int orientation) {
  return orientation >= 5;
}

// Turns the picture upright, exactly as Pillow's ImageOps.exif_transpose does. `spare` is memory that is kept from
// picture to picture. orientation: 1 to 8.
void turn_upright(Image& image, int orientation, Image& spare);

// Where a part of the upright picture lies in the stored one of height x width, and the reverse.
Region stored_region(const Region& in_upright, int orientation, int stored_height, int stored_width);
Region upright_region(const Region& in_stored, int orientation, int stored_height, int stored_width);

}  // namespace kindred
