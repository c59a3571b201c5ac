#include <kindred/data/augment.h>
#include <kindred/data/color.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace kindred {
namespace {

// Half to even, as Python's round().
int round_to_int(double value) {
  return static_cast<int>(std::nearbyint(value));
}

bool coin(RandomStream& random, float probability) {
  return random.uniform() < probability;
}

// The largest crop in the middle whose ratio the recipe allows.
Region central_crop(int height, int width, const Recipe& recipe) {
  Region crop{0, 0, height, width};
  const double ratio = double(width) / double(height);
  if (ratio < recipe.min_ratio)
    crop.height = std::clamp(round_to_int(width / double(recipe.min_ratio)), 1, height);
  if (ratio > recipe.max_ratio)
    crop.width = std::clamp(round_to_int(height * double(recipe.max_ratio)), 1, width);
  crop.top = (height - crop.height) / 2;
  crop.left = (width - crop.width) / 2;
  return crop;
}

Region draw_crop(int height, int width, const Recipe& recipe, RandomStream& random) {
  const double image_area = double(height) * double(width);
  const float low = std::log(recipe.min_ratio), high = std::log(recipe.max_ratio);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = image_area * random.uniform(recipe.min_area, recipe.max_area);
    const double ratio = std::exp(double(random.uniform(low, high)));
    const double wanted_width = std::sqrt(area * ratio), wanted_height = std::sqrt(area / ratio);
    if (wanted_width > width + 1.0 || wanted_height > height + 1.0)
      continue;  // keeps the rounding below in range
    const int crop_width = round_to_int(wanted_width), crop_height = round_to_int(wanted_height);
    if (crop_width < 1 || crop_width > width || crop_height < 1 || crop_height > height) continue;
    Region crop{0, 0, crop_height, crop_width};
    crop.top = static_cast<int>(random.below(static_cast<std::uint32_t>(height - crop_height + 1)));
    crop.left = static_cast<int>(random.below(static_cast<std::uint32_t>(width - crop_width + 1)));
    return crop;
  }
  return central_crop(height, width, recipe);
}

// The short side becomes size * 256 / 224, so that the view is the middle 7/8; up to 64 pixels it becomes the
// size itself: small pictures have no margin to lose. An image of exactly the size is taken as it is.
void centre_view(int height, int width, int size, ViewParameters& view) {
  view.crop = {0, 0, height, width};
  if (height == size && width == size) {
    view.resized_height = view.resized_width = size;
    return;
  }
  const std::int64_t side = size <= 64 ? size : (std::int64_t{size} * 256 + 112) / 224;
  const std::int64_t shorter = std::min(height, width), longer = std::max(height, width);
  // The taps use only a window of this, so a picture of 1 x 100000 is no danger; the clamp keeps it an int.
  const std::int64_t long_side = std::min<std::int64_t>(side * longer / shorter, 1 << 30);
  view.resized_height = static_cast<int>(height <= width ? side : long_side);
  view.resized_width = static_cast<int>(height <= width ? long_side : side);
  view.top = round_to_int((view.resized_height - size) / 2.0);
  view.left = round_to_int((view.resized_width - size) / 2.0);
}

// A uniformly random order of the four operations.
void draw_order(RandomStream& random, std::array<ColorOp, 4>& order) {
  for (std::uint32_t last = 3; last > 0; --last) std::swap(order[last], order[random.below(last + 1)]);
}

float draw_factor(RandomStream& random, float strength) {
  return random.uniform(std::max(0.0f, 1.0f - strength), 1.0f + strength);
}

void jitter(Planes& view, const ViewParameters& p) {
  for (const ColorOp op : p.order) {
    switch (op) {
      case ColorOp::brightness:
        if (p.brightness != 1.0f) adjust_brightness(view, p.brightness);
        break;
      case ColorOp::contrast:
        if (p.contrast != 1.0f) adjust_contrast(view, p.contrast);
        break;
      case ColorOp::saturation:
        if (p.saturation != 1.0f) adjust_saturation(view, p.saturation);
        break;
      case ColorOp::hue:
        if (p.hue != 0.0f) adjust_hue(view, p.hue);
        break;
    }
  }
}

void interleave(const Planes& view, std::uint8_t* out) {
  const std::uint8_t *red = view.plane(0), *green = view.plane(1), *blue = view.plane(2);
  const std::size_t pixels = view.pixels();
  for (std::size_t i = 0; i < pixels; ++i) {
    out[3 * i] = red[i];
    out[3 * i + 1] = green[i];
    out[3 * i + 2] = blue[i];
  }
}

}  // namespace

ViewParameters draw_view(int height, int width, const Recipe& recipe, int size, RandomStream& random) {
  ViewParameters view;
  if (recipe.random_crop) {
    view.crop = draw_crop(height, width, recipe, random);
    view.resized_height = view.resized_width = size;
  } else {
    centre_view(height, width, size, view);
  }
  if (recipe.flip_probability > 0) view.flip = coin(random, recipe.flip_probability);
  if (recipe.jitter_probability > 0) {
    view.jitter = coin(random, recipe.jitter_probability);
    draw_order(random, view.order);
    view.brightness = draw_factor(random, recipe.brightness);
    view.contrast = draw_factor(random, recipe.contrast);
    view.saturation = draw_factor(random, recipe.saturation);
    view.hue = random.uniform(-recipe.hue, recipe.hue);
  }
  if (recipe.gray_probability > 0) view.gray = coin(random, recipe.gray_probability);
  if (recipe.blur_probability > 0) {
    const bool blurred = coin(random, recipe.blur_probability);
    const float sigma = random.uniform(recipe.min_sigma, recipe.max_sigma);
    view.sigma = blurred ? sigma : 0.0f;
  }
  return view;
}

namespace {

// Which of `in` coordinates the outputs [first, first + count) of a resize to `out` touch, one more on each
// side than the filter's taps: rounding cannot take any from it.
void touched(int in, int out, int first, int count, int& low, int& length) {
  const double scale = double(in) / double(out), support = std::max(scale, 1.0);
  low = static_cast<int>(std::clamp((first + 0.5) * scale - support - 1.0, 0.0, in - 1.0));
  const int high = static_cast<int>(std::clamp((first + count - 0.5) * scale + support + 2.0, 1.0, double(in)));
  length = std::max(1, high - low);
}

}  // namespace

Region needed_region(const ViewParameters& p, int size) {
  Region needed;
  touched(p.crop.height, p.resized_height, p.top, size, needed.top, needed.height);
  touched(p.crop.width, p.resized_width, p.left, size, needed.left, needed.width);
  needed.top += p.crop.top;
  needed.left += p.crop.left;
  return needed;
}

void apply_view(const Image& image, const ViewParameters& p, int size, std::uint8_t* out,
                AugmentScratch& scratch) {
  const bool whole =
      p.crop.height == size && p.crop.width == size && image.height == size && image.width == size;
  if (whole && p.resized_height == size && p.resized_width == size && !p.flip && !p.jitter && !p.gray &&
      p.sigma == 0.0f) {
    std::memcpy(out, image.pixels.data(), image.pixels.size());
    return;
  }
  Planes& view = scratch.view;
  view.resize(size);
  resize_region(image, p.crop, p.resized_height, p.resized_width, p.top, p.left, p.flip, view, scratch.resize);
  if (p.jitter) jitter(view, p);
  if (p.gray) to_gray(view);
  if (p.sigma > 0.0f) gaussian_blur(view, blur_kernel(size), p.sigma, scratch.blur);
  interleave(view, out);
}

void make_view(const Image& image, const Recipe& recipe, int size, RandomStream& random, std::uint8_t* out,
               AugmentScratch& scratch) {
  apply_view(image, draw_view(image.height, image.width, recipe, size, random), size, out, scratch);
}

}  // namespace kindred
