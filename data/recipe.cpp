#include <kindred/data/recipe.h>
#include <kindred/engine/error.h>

namespace kindred {
namespace {

constexpr int small_image = 64;

Recipe probe(int size) {
  Recipe r;
  r.name = "probe";
  r.random_crop = true;
  r.min_area = size <= small_image ? 0.2f : 0.08f;
  r.flip_probability = 0.5f;
  return r;
}

Recipe cifar() {
  Recipe r;
  r.name = "cifar";
  r.random_crop = true;
  r.min_area = 0.2f;
  r.flip_probability = 0.5f;
  r.jitter_probability = 0.8f;
  r.brightness = r.contrast = r.saturation = 0.4f;
  r.hue = 0.1f;
  r.gray_probability = 0.2f;
  return r;
}

Recipe simaugment() {
  Recipe r;
  r.name = "simaugment";
  r.random_crop = true;
  r.min_area = 0.08f;
  r.flip_probability = 0.5f;
  r.jitter_probability = 0.8f;
  r.brightness = r.contrast = r.saturation = 0.8f;
  r.hue = 0.2f;
  r.gray_probability = 0.2f;
  r.blur_probability = 0.5f;
  return r;
}

}  // namespace

Recipe recipe(std::string_view name, int size) {
  if (name == "none") return Recipe{};
  if (name == "probe") return probe(size);
  if (name == "cifar") return cifar();
  if (name == "simaugment") return simaugment();
  fail(ExitCode::usage, "unknown augmentation '{}': choose one of cifar, simaugment, probe, none", name);
}

std::string describe(const Recipe& r) {
  std::string text = r.random_crop ? fmt::format("random crop of area {:g}-{:g} and ratio {:.3g}-{:.3g}",
                                                 r.min_area, r.max_area, r.min_ratio, r.max_ratio)
                                   : std::string("resize and centre crop");
  if (r.flip_probability > 0) text += fmt::format(", flip {:g}", r.flip_probability);
  if (r.jitter_probability > 0) {
    text += fmt::format(", jitter {:g} (brightness {:g}, contrast {:g}, saturation {:g}, hue {:g})",
                        r.jitter_probability, r.brightness, r.contrast, r.saturation, r.hue);
  }
  if (r.gray_probability > 0) text += fmt::format(", gray {:g}", r.gray_probability);
  if (r.blur_probability > 0) {
    text += fmt::format(", blur {:g} (sigma {:g}-{:g})", r.blur_probability, r.min_sigma, r.max_sigma);
  }
  return text;
}

}  // namespace kindred
