#include <kindred/data/views/recipe.h>
#include <kindred/engine/error.h>

namespace kindred {
namespace {

constexpr int small_image = 64;

// The crop and the flip with which every random recipe begins.
Recipe cropped(const char* name, double min_area) {
  Recipe r;
  r.name = name;
  r.crop = RandomCrop{.min_area = min_area};
  r.flip = 0.5;
  return r;
}

Recipe probe(const char* name, int size) {
  return cropped(name, size <= small_image ? 0.2 : 0.08);
}

Recipe cifar() {
  Recipe r = cropped("cifar", 0.2);
  r.steps = {ColorJitter{.probability = 0.8, .brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1},
             RandomGray{0.2}};
  return r;
}

constexpr ColorJitter strong_jitter = {
    .probability = 0.8, .brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2};

Recipe simaugment() {
  Recipe r = cropped("simaugment", 0.08);
  r.steps = {strong_jitter, RandomGray{0.2}, RandomBlur{}};
  return r;
}

Recipe autoaugment(int size) {
  Recipe r = probe("autoaugment", size);
  r.steps = {AutoAugment{}};
  return r;
}

Recipe autoaugment_cifar(int size) {
  Recipe r = probe("autoaugment-cifar", size);
  r.steps = {AutoAugment{Policy::cifar10, {}}, Cutout{}};
  return r;
}

Recipe randaugment(int size) {
  Recipe r = probe("randaugment", size);
  r.steps = {RandAugment{.operations = randaugment_operations(), .style = {}}};
  return r;
}

Recipe stacked_randaugment() {
  Recipe r = cropped("stacked-randaugment", 0.08);
  const RandAugment strongest{
      .number = 2, .magnitude = 10, .levels = 11, .operations = all_randaugment_operations(), .style = {}};
  r.steps = {strong_jitter, strongest, RandomGray{0.2}, RandomBlur{}};
  return r;
}

constexpr Named<Recipe (*)(int size)> recipes[] = {
    {[](int) { return cifar(); }, "cifar"},
    {[](int) { return simaugment(); }, "simaugment"},
    {autoaugment, "autoaugment"},
    {autoaugment_cifar, "autoaugment-cifar"},
    {randaugment, "randaugment"},
    {[](int) { return stacked_randaugment(); }, "stacked-randaugment"},
    {[](int size) { return probe("probe", size); }, "probe"},
    {[](int) { return Recipe{}; }, "none"}};

const char* resize_text(ResizeMode mode) {
  return mode == ResizeMode::pad      ? "resize and pad"
         : mode == ResizeMode::squash ? "resize to a square"
                                      : "resize and centre crop";
}

std::string describe(const WarpStyle& style) {
  return fmt::format("{}, fill {}", name_of(interpolation_names, style.interpolation), style.fill);
}

struct StepText {
  std::string operator()(const ColorJitter& s) const {
    return fmt::format("jitter {:g} (brightness {:g}, contrast {:g}, saturation {:g}, hue {:g})", s.probability,
                       s.brightness, s.contrast, s.saturation, s.hue);
  }
  std::string operator()(const RandomGray& s) const { return fmt::format("gray {:g}", s.probability); }
  std::string operator()(const RandomBlur& s) const {
    return fmt::format("blur {:g} (sigma {:g}-{:g})", s.probability, s.min_sigma, s.max_sigma);
  }
  std::string operator()(const AutoAugment& s) const {
    return fmt::format("AutoAugment ({} policy, {})", name_of(policy_names, s.policy), describe(s.style));
  }
  std::string operator()(const RandAugment& s) const {
    return fmt::format("RandAugment ({} of {} operations at {} of {}, {})", s.number, s.operations.size(),
                       s.magnitude, s.levels - 1, describe(s.style));
  }
  std::string operator()(const Cutout& s) const {
    return fmt::format("cutout {:g} (side {:g}, fill {})", s.probability, s.side, s.fill);
  }
  std::string operator()(const RandomOperation& s) const {
    return fmt::format("{} {:g} ({:g} to {:g}, {})", name(s.operation), s.probability, s.low, s.high,
                       describe(s.style));
  }
};

}  // namespace

Recipe recipe(std::string_view name, int size) {
  if (const auto make = value_named(recipes, name)) return (*make)(size);
  fail(ExitCode::usage, "unknown augmentation '{}': choose one of {}", name, recipe_names());
}

std::string recipe_names() {
  return names_of(recipes);
}

std::size_t pixels_of(const std::vector<ViewGroup>& groups) {
  std::size_t pixels = 0;
  for (const ViewGroup& group : groups)
    pixels += std::size_t(group.count) * std::size_t(group.size) * std::size_t(group.size);
  return pixels;
}

std::vector<ViewSize> view_sizes(const std::vector<ViewGroup>& groups) {
  std::vector<ViewSize> sizes;
  for (const ViewGroup& group : groups) {
    if (sizes.empty() || sizes.back().size != group.size) sizes.push_back({group.size, 0});
    sizes.back().count += group.count;
  }
  return sizes;
}

std::vector<ImageOperation> randaugment_operations() {
  using enum ImageOperation;
  return {identity, shear_x,  shear_y,   translate_x, translate_y, rotate,       brightness,
          color,    contrast, sharpness, posterize,   solarize,    autocontrast, equalize};
}

std::vector<ImageOperation> all_randaugment_operations() {
  using enum ImageOperation;
  return {autocontrast, equalize,  invert,  rotate,  posterize,   solarize,    color,  contrast,
          brightness,   sharpness, shear_x, shear_y, translate_x, translate_y, cutout, solarize_add};
}

std::string describe(const Step& step) {
  return std::visit(StepText{}, step);
}

std::string describe(const Recipe& r) {
  std::string text = resize_text(r.resize);
  if (r.crop)
    text = fmt::format("random crop of area {:g}-{:g} and ratio {:.3g}-{:.3g}", r.crop->min_area,
                       r.crop->max_area, r.crop->min_ratio, r.crop->max_ratio);
  if (r.flip > 0) text += fmt::format(", flip {:g}", r.flip);
  for (const Step& step : r.steps) text += ", " + describe(step);
  return text;
}

}  // namespace kindred
