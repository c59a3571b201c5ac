#include <kindred/data/views/augment.h>
#include <kindred/data/views/policy.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace kindred {
namespace {

// Rounds half to even, as Python's round().
int round_to_int(double value) {
  return static_cast<int>(std::nearbyint(value));
}

bool coin(RandomStream& random, double probability) {
  return random.uniform() < static_cast<float>(probability);
}

float uniform(RandomStream& random, double low, double high) {
  return random.uniform(static_cast<float>(low), static_cast<float>(high));
}

// The largest centred crop with a ratio that the recipe allows.
Region central_crop(int height, int width, const RandomCrop& how) {
  Region crop{0, 0, height, width};
  const double ratio = double(width) / double(height);
  if (ratio < how.min_ratio) crop.height = std::clamp(round_to_int(width / how.min_ratio), 1, height);
  if (ratio > how.max_ratio) crop.width = std::clamp(round_to_int(height * how.max_ratio), 1, width);
  crop.top = (height - crop.height) / 2;
  crop.left = (width - crop.width) / 2;
  return crop;
}

Region draw_crop(int height, int width, const RandomCrop& how, RandomStream& random) {
  const double image_area = double(height) * double(width);
  const float low = std::log(static_cast<float>(how.min_ratio)),
              high = std::log(static_cast<float>(how.max_ratio));
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = image_area * uniform(random, how.min_area, how.max_area);
    const double ratio = std::exp(double(random.uniform(low, high)));
    const double wanted_width = std::sqrt(area * ratio), wanted_height = std::sqrt(area / ratio);
    if (wanted_width > width + 1.0 || wanted_height > height + 1.0)
      continue;  // keeps the rounding below within the range
    const int crop_width = round_to_int(wanted_width), crop_height = round_to_int(wanted_height);
    if (crop_width < 1 || crop_width > width || crop_height < 1 || crop_height > height) continue;
    Region crop{0, 0, crop_height, crop_width};
    crop.top = static_cast<int>(random.below(static_cast<std::uint32_t>(height - crop_height + 1)));
    crop.left = static_cast<int>(random.below(static_cast<std::uint32_t>(width - crop_width + 1)));
    return crop;
  }
  return central_crop(height, width, how);
}

// ResizeMode::crop.
void centre_view(int height, int width, int size, ViewParameters& view) {
  view.crop = {0, 0, height, width};
  if (height == size && width == size) {
    view.resized_height = view.resized_width = size;
    return;
  }
  const std::int64_t side = shorter_side(size);
  const std::int64_t shorter = std::min(height, width), longer = std::max(height, width);
  // The resize computes only a window of this, so a picture of 1 x 100000 is no problem. The limit keeps it
  // within an int.
  const std::int64_t long_side = std::min<std::int64_t>(side * longer / shorter, 1 << 30);
  view.resized_height = static_cast<int>(height <= width ? side : long_side);
  view.resized_width = static_cast<int>(height <= width ? long_side : side);
  view.top = round_to_int((view.resized_height - size) / 2.0);
  view.left = round_to_int((view.resized_width - size) / 2.0);
}

// ResizeMode::pad.
void padded_view(int height, int width, int size, ViewParameters& view) {
  const double longer = std::max(height, width);
  const auto resized = [&](int side) { return std::max(1, round_to_int(double(size) * side / longer)); };
  view.crop = {0, 0, height, width};
  view.resized_height = resized(height);
  view.resized_width = resized(width);
  view.top = -((size - view.resized_height) / 2);
  view.left = -((size - view.resized_width) / 2);
}

// The whole image.
void whole_view(int height, int width, int size, ResizeMode how, ViewParameters& view) {
  switch (how) {
    case ResizeMode::crop:
      return centre_view(height, width, size, view);
    case ResizeMode::pad:
      return padded_view(height, width, size, view);
    case ResizeMode::squash:
      view.crop = {0, 0, height, width};
      view.resized_height = view.resized_width = size;
  }
}

float draw_factor(RandomStream& random, double strength) {
  const auto reach = static_cast<float>(strength);
  return random.uniform(std::max(0.0f, 1.0f - reach), 1.0f + reach);
}

DrawnOperation plain(ImageOperation operation, float value = 0) {
  return {.operation = operation, .value = value};
}

int below(RandomStream& random, int count) {
  return static_cast<int>(random.below(static_cast<std::uint32_t>(count)));
}

void draw_centre(RandomStream& random, int size, DrawnOperation& cutout) {
  cutout.row = below(random, size);
  cutout.column = below(random, size);
}

// Draws the operation of a step on a view of `size` pixels, and appends it.
struct StepDrawer {
  int size;
  RandomStream& random;
  ViewParameters& view;

  void operator()(const ColorJitter& step) {
    if (step.probability <= 0) return;
    const bool jittered = coin(random, step.probability);
    std::array<std::size_t, 4> order{0, 1, 2, 3};
    for (std::uint32_t last = 3; last > 0; --last) std::swap(order[last], order[random.below(last + 1)]);
    const std::array<DrawnOperation, 4> changes{
        plain(ImageOperation::brightness, draw_factor(random, step.brightness)),
        plain(ImageOperation::contrast, draw_factor(random, step.contrast)),
        plain(ImageOperation::color, draw_factor(random, step.saturation)),
        plain(ImageOperation::hue, uniform(random, -step.hue, step.hue))};
    if (!jittered) return;
    for (const std::size_t next : order) view.add(changes[next]);
  }

  void operator()(const RandomGray& step) {
    if (step.probability > 0 && coin(random, step.probability)) view.add(plain(ImageOperation::gray));
  }

  void operator()(const RandomBlur& step) {
    if (step.probability <= 0) return;
    const bool blurred = coin(random, step.probability);
    const float sigma = uniform(random, step.min_sigma, step.max_sigma);
    if (blurred) view.add(plain(ImageOperation::blur, sigma));
  }

  // An operation at the given strength, with a random sign.
  DrawnOperation at_strength(ImageOperation operation, int level, int levels, const WarpStyle& style) {
    DrawnOperation drawn = styled(operation, operation_value(operation, level, levels, size), style);
    if (random.below(2) == 0 && has_sign(operation)) drawn.value = opposite(operation, drawn.value);
    if (operation == ImageOperation::cutout) draw_centre(random, size, drawn);
    return drawn;
  }

  static DrawnOperation styled(ImageOperation operation, float value, const WarpStyle& style) {
    return {operation, style.interpolation, static_cast<std::uint8_t>(style.fill), value, 0, 0};
  }

  void operator()(const AutoAugment& step) {
    const auto pairs = policy_pairs(step.policy);
    for (const PolicyOperation& each : pairs[random.below(static_cast<std::uint32_t>(pairs.size()))]) {
      const bool done = coin(random, each.probability);
      const DrawnOperation drawn = at_strength(each.operation, each.level, 10, step.style);
      if (done) view.add(drawn);
    }
  }

  void operator()(const RandAugment& step) {
    for (int i = 0; i < step.number; ++i) {
      const auto which = random.below(static_cast<std::uint32_t>(step.operations.size()));
      view.add(at_strength(step.operations[which], step.magnitude, step.levels, step.style));
    }
  }

  void operator()(const Cutout& step) {
    if (step.probability <= 0) return;
    const bool done = coin(random, step.probability);
    DrawnOperation drawn = styled(ImageOperation::cutout, std::floor(static_cast<float>(step.side * size)),
                                  {Interpolation::nearest, step.fill});
    draw_centre(random, size, drawn);
    if (done) view.add(drawn);
  }

  void operator()(const RandomOperation& step) {
    if (step.probability <= 0) return;
    const bool done = coin(random, step.probability);
    float value = uniform(random, step.low, step.high);
    if (step.operation == ImageOperation::translate_x || step.operation == ImageOperation::translate_y)
      value = std::trunc(value * static_cast<float>(size));
    if (done) view.add(styled(step.operation, value, step.style));
  }
};

struct OperationCounter {
  int operator()(const ColorJitter&) const { return 4; }
  int operator()(const AutoAugment&) const { return 2; }
  int operator()(const RandAugment& step) const { return step.number; }
  int operator()(const RandomGray&) const { return 1; }
  int operator()(const RandomBlur&) const { return 1; }
  int operator()(const Cutout&) const { return 1; }
  int operator()(const RandomOperation&) const { return 1; }
};

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

void ViewParameters::add(const DrawnOperation& operation) {
  check(count < most_operations, ExitCode::internal, "a view has more than {} operations", most_operations);
  operations[static_cast<std::size_t>(count++)] = operation;
}

int most_operations(const Recipe& recipe) {
  int most = 0;
  for (const Step& step : recipe.steps) most += std::visit(OperationCounter{}, step);
  return most;
}

ViewParameters draw_view(int height, int width, const Recipe& recipe, int size, RandomStream& random) {
  ViewParameters view;
  if (recipe.crop) {
    view.crop = draw_crop(height, width, *recipe.crop, random);
    view.resized_height = view.resized_width = size;
  } else {
    whole_view(height, width, size, recipe.resize, view);
  }
  if (recipe.flip > 0) view.flip = coin(random, recipe.flip);
  StepDrawer draw{size, random, view};
  for (const Step& step : recipe.steps) std::visit(draw, step);
  return view;
}

namespace {

// The range of the `in` coordinates that the outputs [first, first + count) of a resize to `out` use, with one
// more on each side, so that rounding cannot make it too small.
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
  if (whole && p.resized_height == size && p.resized_width == size && !p.flip && p.count == 0) {
    std::memcpy(out, image.pixels.data(), image.pixels.size());
    return;
  }
  Planes& view = scratch.view;
  view.resize(size);
  resize_region(image, p.crop, p.resized_height, p.resized_width, p.top, p.left, p.flip, view, scratch.resize);
  for (int i = 0; i < p.count; ++i) apply(p.operations[static_cast<std::size_t>(i)], view, scratch.operations);
  interleave(view, out);
}

void make_view(const Image& image, const Recipe& recipe, int size, RandomStream& random, std::uint8_t* out,
               AugmentScratch& scratch) {
  apply_view(image, draw_view(image.height, image.width, recipe, size, random), size, out, scratch);
}

}  // namespace kindred
