// How a picture becomes the square of pixels that a network takes, where nothing is random: what can be chosen about
// it, and the names of the choices in flags and files. data/views computes it, and the file of an encoder remembers it
// (models/encoder_file.h).
#pragma once

#include <kindred/engine/names.h>

#include <cstdint>
#include <string>

namespace kindred {

// How the whole picture is resized to a square of `size` pixels; bilinear with antialiasing (resize.h).
enum class ResizeMode : std::uint8_t {
  crop,  // the shorter side becomes shorter_side(size), then the centre is cut out; as torchvision's evaluation
  pad,   // the longer side becomes `size`, and pad_gray fills the rest, in equal parts on both sides
  squash,  // both sides become `size`, whatever the proportions are
};

inline constexpr Named<ResizeMode> resize_names[] = {
    {ResizeMode::crop, "crop"}, {ResizeMode::pad, "pad"}, {ResizeMode::squash, "squash"}};

// Whether a picture is turned and mirrored as its EXIF orientation says (exif.h).
enum class ExifMode : std::uint8_t {
  ignore,  // the pixels as they are stored, like torchvision
  apply,
};

inline constexpr Named<ExifMode> exif_names[] = {{ExifMode::ignore, "ignore"}, {ExifMode::apply, "apply"}};

// The gray of ResizeMode::pad, in all three channels. Operations that move a view fill with the same one.
inline constexpr std::uint8_t pad_gray = 128;

// ResizeMode::crop: size * 256 / 224, rounded, so that the square is the central 7/8; up to 64 pixels `size` itself,
// because small pictures have no margin to lose. A picture of exactly size x size is used unchanged.
constexpr std::int64_t shorter_side(std::int64_t size) {
  return size <= 64 ? size : (size * 256 + 112) / 224;
}

// All of it in words, from the bytes of the picture to the numbers that the network takes, for other people's programs.
std::string preparation_text(std::int64_t size, ResizeMode resize, ExifMode exif);

}  // namespace kindred
