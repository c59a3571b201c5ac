// What becomes of pictures that are no squares: crop, pad and squash.
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/views/augment.h>
#include <kindred/layers/image_input/preparation.h>

#include <array>

using namespace kindred;
using namespace kindred::test;

namespace {

using Color = std::array<int, 3>;

constexpr Color red{200, 10, 10}, green{10, 200, 10}, blue{10, 10, 200}, gray{128, 128, 128};

void fill(Image& image, const Region& region, const Color& color) {
  for (int y = region.top; y < region.bottom(); ++y)
    for (int x = region.left; x < region.right(); ++x)
      for (std::size_t channel = 0; channel < 3; ++channel)
        image.pixel(y, x)[channel] = static_cast<std::uint8_t>(color[channel]);
}

// Three stripes from left to right.
Image stripes(int height, int width) {
  Image image(height, width);
  fill(image, {0, 0, height, width / 4}, red);
  fill(image, {0, width / 4, height, width / 2}, green);
  fill(image, {0, 3 * width / 4, height, width / 4}, blue);
  return image;
}

Color color_at(const Image& image, int y, int x) {
  const std::uint8_t* pixel = image.pixel(y, x);
  return {pixel[0], pixel[1], pixel[2]};
}

Image view_of(const Image& image, ResizeMode mode, int size, double flip = 0) {
  Recipe plain = recipe("none", size);
  plain.resize = mode;
  plain.flip = flip;
  Image view(size, size);
  AugmentScratch scratch;
  RandomStream random(0, Purpose::test);
  make_view(image, plain, size, random, view.pixels.data(), scratch);
  return view;
}

ViewParameters drawn(int height, int width, ResizeMode mode, int size) {
  Recipe plain = recipe("none", size);
  plain.resize = mode;
  RandomStream random(0, Purpose::test);
  return draw_view(height, width, plain, size, random);
}

}  // namespace

TEST_CASE(
    "resize: crop cuts off the ends, pad keeps them between gray, squash keeps them in other proportions") {
  const Image wide = stripes(16, 32);
  const Image cropped = view_of(wide, ResizeMode::crop, 16);
  CHECK(color_at(cropped, 8, 1) == green);
  CHECK(color_at(cropped, 8, 14) == green);

  const Image padded = view_of(wide, ResizeMode::pad, 16);
  CHECK(color_at(padded, 8, 1) == red);
  CHECK(color_at(padded, 8, 8) == green);
  CHECK(color_at(padded, 8, 14) == blue);
  for (int x = 0; x < 16; ++x) {
    CHECK(color_at(padded, 3, x) == gray);
    CHECK(color_at(padded, 4, x) != gray);
    CHECK(color_at(padded, 11, x) != gray);
    CHECK(color_at(padded, 12, x) == gray);
  }

  const Image squashed = view_of(wide, ResizeMode::squash, 16);
  CHECK(color_at(squashed, 0, 1) == red);
  CHECK(color_at(squashed, 15, 8) == green);
  CHECK(color_at(squashed, 15, 14) == blue);
}

TEST_CASE("resize: a tall picture is padded at its sides, and mirrored with them") {
  const Image tall = stripes(32, 16);  // red for x < 4
  const Image view = view_of(tall, ResizeMode::pad, 16);
  CHECK(color_at(view, 0, 3) == gray);
  CHECK(color_at(view, 0, 4) == red);
  CHECK(color_at(view, 15, 11) == blue);
  CHECK(color_at(view, 15, 12) == gray);
  const Image mirrored = view_of(tall, ResizeMode::pad, 16, 1);
  CHECK(color_at(mirrored, 0, 3) == gray);
  CHECK(color_at(mirrored, 0, 4) == blue);
  CHECK(color_at(mirrored, 15, 11) == red);
  CHECK(color_at(mirrored, 15, 12) == gray);
}

TEST_CASE("resize: sizes and places of the resized picture") {
  const auto is = [](const ViewParameters& p, int height, int width, int top, int left) {
    return p.resized_height == height && p.resized_width == width && p.top == top && p.left == left;
  };
  CHECK(is(drawn(300, 400, ResizeMode::crop, 224), 256, 341, 16,
           58));  // (341 - 224) / 2 is rounded to an even number
  CHECK(is(drawn(224, 224, ResizeMode::crop, 224), 224, 224, 0, 0));
  CHECK(is(drawn(300, 400, ResizeMode::pad, 224), 168, 224, -28, 0));
  CHECK(
      is(drawn(400, 301, ResizeMode::pad, 224), 224, 169, 0, -27));  // 27 columns at the left, 28 at the right
  CHECK(is(drawn(1, 1000, ResizeMode::pad, 224), 1, 224, -111, 0));
  CHECK(is(drawn(300, 400, ResizeMode::squash, 224), 224, 224, 0, 0));
  for (const ResizeMode mode : {ResizeMode::pad, ResizeMode::squash}) {
    const Region needed = needed_region(drawn(300, 400, mode, 224), 224);
    CHECK(needed.top == 0);
    CHECK(needed.left == 0);
    CHECK(needed.height == 300);
    CHECK(needed.width == 400);
  }
}

TEST_CASE("resize: means are rounded to the nearest level") {
  Image columns(32, 32);
  for (int x = 0; x < 32; ++x) fill(columns, {0, x, 32, 1}, x % 2 == 0 ? Color{10, 10, 10} : Color{13, 13, 13});
  // Four columns with the weights 1, 3, 3, 1 make one: a mean of 11.5.
  CHECK(color_at(view_of(columns, ResizeMode::squash, 16), 8, 8) == Color{12, 12, 12});
}

TEST_CASE("resize: a random crop stays what it is") {
  Recipe random_crop = recipe("probe", 16);
  const Image image = formula_image(20, 33);
  const auto view = [&] {
    Image out(16, 16);
    AugmentScratch scratch;
    RandomStream random(3, Purpose::test);
    make_view(image, random_crop, 16, random, out.pixels.data(), scratch);
    return out.pixels;
  };
  const auto before = view();
  random_crop.resize = ResizeMode::pad;
  CHECK(view() == before);
}

TEST_CASE("resize: the preparation in words") {
  CHECK(shorter_side(224) == 256);
  CHECK(shorter_side(64) == 64);
  CHECK(shorter_side(65) == 74);
  CHECK(contains(
      preparation_text(224, ResizeMode::crop, ExifMode::ignore),
      "EXIF orientation ignored; resized so that the shorter side has 256 pixels, of which the central 224 x "
      "224 are used (a picture of 224 x 224 is used unchanged); bilinear"));
  CHECK(contains(
      preparation_text(224, ResizeMode::pad, ExifMode::apply),
      "EXIF orientation applied; resized so that the longer side has 224 pixels, and padded in equal parts on "
      "both sides with gray 128 to 224 x 224; bilinear"));
  CHECK(contains(preparation_text(32, ResizeMode::squash, ExifMode::ignore),
                 "resized to 32 x 32 pixels, whatever its proportions are; bilinear"));
}
