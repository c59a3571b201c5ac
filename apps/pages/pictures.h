// Pictures in pages, which carry them as data: URIs.
#pragma once

#include <kindred/data/images/image.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// "data:image/jpeg;base64,...". The image must not be empty.
std::string jpeg_uri(const Image& image, int quality = 80);
std::string base64(std::string_view bytes);

// How a picture in a gallery is framed. Colour is never alone: a mark stands beside it.
enum class Verdict : std::uint8_t { none, right, wrong };

struct GalleryPicture {
  Image image{};  // empty: a grey square stands for it
  std::string
      name{};  // plain text, shown below, of a path its last part; shortened by the browser, whole in its title
  std::string note{};  // plain text below the name: "dog, 0.93"
  Verdict verdict = Verdict::none;
  // Plain text, a heading in front of this picture: "nearest in train"; a long one is shortened, and whole in its title.
  std::string group{};
};

// A row of pictures as HTML: <div class="gallery">. Images are shown enlarged to `side` pixels of the screen.
std::string gallery(const std::vector<GalleryPicture>& pictures, int side = 96);

// Equal squares of `side` pixels, row by row, `columns` in each: what map pages take their pictures from. Pictures are shrunk, and
// centred on grey. Empty ones stay grey.
Image atlas(const std::vector<Image>& pictures, int side, int columns);

}  // namespace kindred
