// Recipes: by name, as text, and as JSON files.
#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/policy.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/random/philox.h>

#include <fstream>

using namespace kindred;
using namespace kindred::test;

namespace {

const std::vector<std::string> names = {
    "cifar",       "simaugment",          "autoaugment", "autoaugment-cifar",
    "randaugment", "stacked-randaugment", "probe",       "none"};

Recipe parsed(const std::string& json) {
  return parse_views(json, "mine.json", 32, 2).groups.at(0).recipe;
}

std::string message(const std::string& json) {
  return error_of([&] { parse_views(json, "mine.json", 32, 2); });
}

Step random_step(RandomStream& random) {
  const double p = random.uniform();
  const WarpStyle style{random.below(2) == 0 ? Interpolation::nearest : Interpolation::bilinear,
                        int(random.below(256))};
  switch (random.below(7)) {
    case 0:
      return ColorJitter{p, random.uniform(), random.uniform() * 3, random.uniform(), random.uniform() / 2};
    case 1:
      return RandomGray{p};
    case 2:
      return RandomBlur{p, 0.1 + random.uniform(), 1.5 + random.uniform()};
    case 3:
      return AutoAugment{random.below(2) == 0 ? Policy::imagenet : Policy::cifar10, style};
    case 4: {
      RandAugment step{.number = int(random.below(5)), .operations = {}, .style = style};
      step.levels = 2 + int(random.below(40));
      step.magnitude = int(random.below(std::uint32_t(step.levels)));
      step.operations = random.below(2) == 0 ? randaugment_operations() : all_randaugment_operations();
      return step;
    }
    case 5:
      return Cutout{p, random.uniform(), int(random.below(256))};
    default:
      return RandomOperation{ImageOperation::rotate, p, -double(random.uniform()) * 90, random.uniform() * 90.0,
                             style};
  }
}

}  // namespace

TEST_CASE("recipes: names") {
  CHECK(error_of([] { recipe("cifra"); }) ==
        "unknown augmentation 'cifra': choose one of cifar, simaugment, autoaugment, autoaugment-cifar, "
        "randaugment, stacked-randaugment, probe, none");
  CHECK(recipe("probe", 32).crop->min_area == 0.2);
  CHECK(recipe("probe", 224).crop->min_area == 0.08);
  for (const std::string& name : names) CHECK(recipe(name, 64).name == name);
  CHECK(blur_kernel(224) == 23);
  CHECK(blur_kernel(32) == 3);
}

TEST_CASE("recipes: as a line of text") {
  CHECK(describe(recipe("none")) == "resize and centre crop");
  CHECK(describe(recipe("cifar")) ==
        "random crop of area 0.2-1 and ratio 0.75-1.33, flip 0.5, jitter 0.8 (brightness 0.4, contrast 0.4, "
        "saturation 0.4, hue 0.1), gray 0.2");
  CHECK(describe(recipe("autoaugment-cifar", 32)) ==
        "random crop of area 0.2-1 and ratio 0.75-1.33, flip 0.5, AutoAugment (cifar10 policy, nearest, fill "
        "128), cutout 1 (side 0.5, fill 128)");
  CHECK(describe(recipe("randaugment")).find("RandAugment (2 of 14 operations at 9 of 30") !=
        std::string::npos);
}

TEST_CASE("recipes: every built-in one prints as JSON that reads back to the same") {
  for (const std::string& name : names)
    for (const int size : {32, 224}) {
      CAPTURE(name);
      const std::string text = to_json_text(recipe(name, size));
      CHECK(parsed(text) == recipe(name, size));
      CHECK(to_json_text(parsed(text)) == text);
    }
  CHECK(to_json_text(recipe("cifar")) ==
        R"({"name":"cifar","crop":{"area":[0.2,1.0],"ratio":[0.75,1.3333333333333333]},"flip":0.5,"steps":[)"
        R"({"step":"jitter","probability":0.8,"brightness":0.4,"contrast":0.4,"saturation":0.4,"hue":0.1},)"
        R"({"step":"gray","probability":0.2}]})");
}

TEST_CASE("recipes: any recipe prints as JSON that reads back to the same") {
  RandomStream random(5, Purpose::test);
  for (int i = 0; i < 300; ++i) {
    Recipe r;
    r.name = "number " + std::to_string(i);
    if (random.below(2) == 0)
      r.crop = RandomCrop{0.01 + random.uniform() / 2, 0.6, 0.5, 1 + random.uniform() * 2.0};
    r.flip = random.uniform();
    for (std::uint32_t steps = random.below(6); steps > 0; --steps) r.steps.push_back(random_step(random));
    CHECK(parsed(to_json_text(r)) == r);
  }
}

TEST_CASE("recipes: what is left out has a default") {
  CHECK(parsed("{}") == Recipe{.name = "custom", .crop = {}, .flip = 0, .steps = {}});
  CHECK(parsed(R"({"crop": {}})").crop == RandomCrop{});
  const Recipe r = parsed(R"({"name": "BYOL's second view", "crop": {"area": [0.08, 1]}, "flip": 0.5, "steps": [
    {"step": "jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1},
    {"step": "blur", "probability": 0.1},
    {"step": "operation", "operation": "solarize", "probability": 0.2, "value": [128, 128]},
    {"step": "operation", "operation": "equalize"}, {"step": "randaugment"}]})");
  REQUIRE(r.steps.size() == 5);
  CHECK(std::get<RandomBlur>(r.steps[1]) == RandomBlur{0.1, 0.1, 2});
  CHECK(std::get<RandomOperation>(r.steps[2]) ==
        RandomOperation{ImageOperation::solarize, 0.2, 128, 128, WarpStyle{}});
  CHECK(std::get<RandAugment>(r.steps[4]).operations == randaugment_operations());
}

TEST_CASE("recipes: groups of views") {
  const std::string text = R"({"views": [{"recipe": "probe", "count": 2},
      {"recipe": {"name": "small", "flip": 0.5, "crop": {"area": [0.05, 0.2]}}, "size": 16, "count": 6}]})";
  const ImageViews made = parse_views(text, "mine.json", 96, 2);
  CHECK(made.views_fixed);
  CHECK(made.views() == 8);
  REQUIRE(made.groups.size() == 2);
  CHECK(made.groups[0] == ViewGroup{recipe("probe", 96), 96, 2});
  CHECK(made.groups[1].size == 16);
  CHECK(made.groups[1].recipe.crop->max_area == 0.2);
  const std::string printed = to_json_text(made.groups);
  CHECK(parse_views(printed, "mine.json", 1000, 1).groups == made.groups);
  const ImageViews one = parse_views("{}", "mine.json", 48, 3);
  CHECK(!one.views_fixed);
  CHECK(one.views() == 3);
  CHECK(one.groups[0].size == 48);
  CHECK(parse_views(to_json_text(one.groups), "mine.json", 1000, 1).groups == one.groups);
}

TEST_CASE("recipes: a file that cannot be used is refused in one line that says where") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not JSON in UTF-8 (at byte 1)"},
      {"{", "not JSON in UTF-8 (at byte 2)"},
      {"{} {}", "not JSON in UTF-8 (at byte 4)"},
      {"{\"name\": \"\xff\"}", "not JSON in UTF-8 (at byte 11)"},
      {"[]", "expected an object, not a list"},
      {"3", "expected an object, not 3"},
      {R"({"flip": 1e999})", "a number is too large"},
      {R"({"flip": 0.5, "flip": 0.5})", "\"flip\" is given twice in one object"},
      {R"({"flop": 0.5})", "unknown key \"flop\"; known are name, crop, flip, steps"},
      {R"({"a\nb": 1})", R"(unknown key "a\x0ab"; known are name, crop, flip, steps)"},
      {R"({"flip": "0.5"})", "flip: expected a number from 0 to 1, not \"0.5\""},
      {R"({"flip": -0.1})", "flip: expected a number from 0 to 1, not -0.1"},
      {R"({"name": ""})", "name: expected 1 to 64 plain characters"},
      {R"({"name": "a\u0007"})", "name: expected 1 to 64 plain characters"},
      {R"({"crop": null})", "crop: expected an object, not null"},
      {R"({"crop": {"area": 0.5}})", "crop.area: expected a list, not 0.5"},
      {R"({"crop": {"area": [0.5]}})", "crop.area: expected a list of 2, not of 1"},
      {R"({"crop": {"area": [0, 1]}})", "crop.area[0]: expected a number from 0.0001 to 1, not 0"},
      {R"({"crop": {"ratio": [2, 1]}})", "crop.ratio: expected the smaller number first, not [2, 1]"},
      {R"({"steps": {}})", "steps: expected a list, not an object"},
      {R"({"steps": [{}]})", "steps[0]: \"step\" is missing"},
      {R"({"steps": [{"step": "fog"}]})",
       "steps[0].step: unknown step \"fog\"; known are jitter, gray, blur, autoaugment, randaugment, cutout, "
       "operation"},
      {R"({"steps": [{"step": "jitter", "hue": 0.6}]})",
       "steps[0].hue: expected a number from 0 to 0.5, not 0.6"},
      {R"({"steps": [{"step": "gray"}, {"step": "blur", "sigma": [0.1, true]}]})",
       "steps[1].sigma[1]: expected a number from 0.01 to 100, not true"},
      {R"({"steps": [{"step": "autoaugment", "policy": "svhn"}]})",
       "steps[0].policy: expected imagenet or cifar10, not \"svhn\""},
      {R"({"steps": [{"step": "randaugment", "number": 1.5}]})",
       "steps[0].number: expected a whole number from 0 to 16, not 1.5"},
      {R"({"steps": [{"step": "randaugment", "levels": 5}]})",
       "steps[0].magnitude: expected a whole number from 0 to 4, not 9"},
      {R"({"steps": [{"step": "randaugment", "operations": []}]})",
       "steps[0].operations: expected a list of 1 to 64, not of 0"},
      {R"({"steps": [{"step": "randaugment", "operations": ["invert", "hue"]}]})",
       "steps[0].operations[1]: RandAugment has no strengths for hue"},
      {R"({"steps": [{"step": "operation", "operation": "cutout"}]})",
       "steps[0].operation: cutout is a step of its own: {\"step\": \"cutout\"}"},
      {R"({"steps": [{"step": "operation", "operation": "rotate"}]})", "steps[0]: \"value\" is missing"},
      {R"({"steps": [{"step": "operation", "operation": "invert", "value": [1, 1]}]})",
       "steps[0]: unknown key \"value\"; known are step, operation, probability, interpolation, fill"},
      {R"({"views": []})", "views: expected a list of 1 to 64, not of 0"},
      {R"({"views": [{"recipe": "cifar"}], "flip": 1})", "unknown key \"flip\"; known are views"},
      {R"({"views": [{"size": 96}]})", "views[0]: \"recipe\" is missing"},
      {R"({"views": [{"recipe": "cifar", "size": 7}]})",
       "views[0].size: expected a whole number from 8 to 4096, not 7"},
      {R"({"views": [{"recipe": "cifar", "count": 40}, {"recipe": "cifar", "count": 40}]})",
       "views: 80 views of an image; at most 64 are possible"},
      {R"({"views": [{"recipe": {"flip": 2}}]})", "views[0].recipe.flip: expected a number from 0 to 1, not 2"},
      {R"({"steps": [[[[[[[[[[]]]]]]]]]]})", "more than 8 levels deep"},
      {std::string(60000, '['), "more than 8 levels deep"},
      {std::string(70000, ' '), "70000 bytes; a recipe has at most 65536"},
  };
  for (const auto& [json, expected] : cases) CHECK(message(json) == "mine.json: " + expected);
  CHECK(message(R"({"views": [{"recipe": "cifra"}]})").find("unknown recipe \"cifra\"; known are cifar, ") !=
        std::string::npos);
  std::string many = R"({"steps": [)";
  for (int i = 0; i < 9; ++i) many += std::string(i == 0 ? "" : ",") + R"({"step": "jitter"})";
  CHECK(message(many + "]}") == "mine.json: steps: a view may get up to 36 operations; the limit is 32");
}

TEST_CASE("recipes: a name or a file") {
  const TempFolder folder;
  const std::string path = folder.string() + "/mine.json";
  std::ofstream(path) << R"({"views": [{"recipe": "cifar", "count": 3}]})";
  CHECK(image_views(path, 32, 2).views() == 3);
  CHECK(image_views("cifar", 32, 2).groups == std::vector<ViewGroup>{{recipe("cifar"), 32, 2}});
  for (const std::string other : {"nothing", "/dev/null", "."}) {
    const std::string refused = error_of([&] { image_views(other, 32, 2); });
    CHECK(refused == "unknown augmentation '" + other + "': expected " + recipe_names() +
                         ", or a recipe in a file, RECIPE.json; the config.json of a run has one under "
                         "\"augmentation\"");
  }
  CHECK(error_of([&] { image_views(folder.string() + "/none.json", 32, 2); }).find("none.json: ") !=
        std::string::npos);
  CHECK(error_of([&] { image_views("/dev/zero.json", 32, 2); }) != "no error");
}
