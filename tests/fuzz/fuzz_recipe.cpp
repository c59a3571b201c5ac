// JSON recipes: one-line errors, or views that can be drawn and that print as JSON with the same meaning.
#include "fuzz_target.h"

#include <kindred/data/views/augment.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/error.h>

using namespace kindred;

namespace {

// Draws views of a small picture, so that every step of the recipe runs.
void draw(const ViewGroup& group) {
  static AugmentScratch scratch;
  const int size = std::min(group.size, 24);
  const Image image(11, 17);
  fuzz::Bytes view(static_cast<std::size_t>(size * size * 3));
  for (std::uint32_t i = 0; i < 2; ++i) {
    RandomStream random(1, Purpose::augment, 0, 0, i);
    const ViewParameters parameters = draw_view(image.height, image.width, group.recipe, size, random);
    KINDRED_FUZZ_CHECK((Region{0, 0, image.height, image.width}.contains(parameters.crop)));
    apply_view(image, parameters, size, view.data(), scratch);
  }
}

void run(std::span<const std::uint8_t> bytes) {
  ImageViews made;
  try {
    made = parse_views({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz.json", 32, 2);
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
    KINDRED_FUZZ_CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    KINDRED_FUZZ_CHECK(std::string_view(error.what()).starts_with("fuzz.json: "));
    return;
  }
  KINDRED_FUZZ_CHECK(made.views() >= 1 && made.views() <= most_views);
  for (const ViewGroup& group : made.groups) draw(group);
  const std::string text = to_json_text(made.groups);
  KINDRED_FUZZ_CHECK(parse_views(text, "fuzz.json", 100, 1).groups == made.groups);
}

fuzz::Bytes bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

std::vector<fuzz::Bytes> seeds() {
  std::vector<fuzz::Bytes> files;
  for (const char* name : {"cifar", "simaugment", "autoaugment-cifar", "randaugment", "stacked-randaugment"})
    files.push_back(bytes_of(to_json_text(recipe(name, 32))));
  files.push_back(bytes_of(
      to_json_text(std::vector<ViewGroup>{{recipe("simaugment", 32), 32, 2}, {recipe("probe", 16), 16, 6}})));
  files.push_back(bytes_of(R"({"views": [{"recipe": "cifar", "size": 24, "count": 2}, {"recipe": {"steps": [
    {"step": "operation", "operation": "solarize", "probability": 0.2, "value": [0, 256]},
    {"step": "operation", "operation": "rotate", "value": [-360, 360], "interpolation": "bilinear", "fill": 9},
    {"step": "operation", "operation": "shear_y", "value": [-1, 1]}, {"step": "cutout", "side": 1}]}}]})"));
  files.push_back(
      bytes_of(R"({"flip": 1e300, "name": "\u00e9", "steps": [null, [[[[]]]], -0.0, 18446744073709551615]})"));
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(recipe, run, seeds)
