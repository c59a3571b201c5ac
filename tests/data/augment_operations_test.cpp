// The operations of AutoAugment and RandAugment against Pillow's and torchvision's (make_augment_golden.py),
// and how the two recipes draw them.
#include "../golden/formula.h"
#include "../places.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/policy.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

using namespace kindred;
using namespace kindred::test;

namespace {

constexpr int side = 24, per_row = 16;

// The same as source_image in make_augment_golden.py.
Image source_image(const std::string& name) {
  Image image = formula_image(side, side);
  for (std::uint8_t& value : image.pixels) {
    const int v = value;
    if (name == "pale") value = static_cast<std::uint8_t>(v / 4 + 100);
    if (name == "steps") value = v < 16 ? 3 : v > 240 ? 250 : 77;
    if (name == "flat") value = 90;
  }
  return image;
}

Image tile(const Image& sheet, int number) {
  Image image(side, side);
  for (int y = 0; y < side; ++y)
    std::copy_n(sheet.pixel(number / per_row * side + y, number % per_row * side), side * 3, image.pixel(y, 0));
  return image;
}

// Levels of 255. Operations that are not listed agree exactly.
int tolerance(const std::string& operation, bool bilinear) {
  if (bilinear && (operation == "rotate" || operation.starts_with("shear"))) return 1;
  return 0;
}

// torchvision's "ShearX" is our "shear_x".
std::string our_name(const std::string& theirs) {
  if (theirs.starts_with("AutoC")) return "autocontrast";
  std::string name;
  for (const char c : theirs) {
    if (std::isupper(c) && !name.empty()) name += '_';
    name += static_cast<char>(std::tolower(c));
  }
  return name;
}

std::span<const DrawnOperation> drawn(const ViewParameters& view) {
  return std::span(view.operations).first(static_cast<std::size_t>(view.count));
}

}  // namespace

TEST_CASE("augment operations: Pillow's results, to the level; bilinear ones within one") {
  const nlohmann::json expected = golden::load_fixture("augment_operations");
  const Decoded sheet = decode_file(golden_dir() + "/augment_operations.png");
  REQUIRE(sheet.outcome == Outcome::ok);
  REQUIRE(expected["cases"].size() >= 80);
  std::set<std::string> seen;
  int number = 0;
  OperationScratch scratch;  // shared: no operation may depend on what another one left in it
  for (const auto& c : expected["cases"]) {
    const std::string name = c["operation"];
    const bool bilinear = c.value("bilinear", false);
    CAPTURE(name);
    CAPTURE(c["value"].get<double>());
    CAPTURE(bilinear);
    CAPTURE(c["source"].get<std::string>());
    DrawnOperation drawn{.operation = value_named(operation_names, name).value(),
                         .interpolation = bilinear ? Interpolation::bilinear : Interpolation::nearest,
                         .fill = static_cast<std::uint8_t>(c.value("fill", 0)),
                         .value = c["value"]};
    Planes view = planes_of(source_image(c["source"]));
    apply(drawn, view, scratch);
    CHECK(largest_difference(image_of(view), tile(sheet.image, number++)) <= tolerance(name, bilinear));
    seen.insert(name);
  }
  // The operations of color.h and blur.h have cases in augment_test.cpp; identity and cutout need no comparison
  // with Pillow.
  for (const auto& entry : operation_names) {
    const std::string name = entry.name;
    CHECK((seen.contains(name) || name == "identity" || name == "cutout" || name == "hue" || name == "gray" ||
           name == "blur"));
  }
}

TEST_CASE("augment operations: cutout clears a square, cut off at the edge") {
  const Image image = formula_image(20, 20);
  for (const auto& [row, column, size] :
       {std::tuple{10, 10, 6}, {0, 0, 8}, {19, 3, 5}, {7, 19, 40}, {5, 5, 0}}) {
    Planes view = planes_of(image);
    OperationScratch scratch;
    apply({ImageOperation::cutout, Interpolation::nearest, 128, float(size), row, column}, view, scratch);
    const Image out = image_of(view);
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 20; ++x) {
        const bool cleared = y >= row - size / 2 && y < row - size / 2 + size && x >= column - size / 2 &&
                             x < column - size / 2 + size;
        for (int c = 0; c < 3; ++c) REQUIRE(out.pixel(y, x)[c] == (cleared ? 128 : image.pixel(y, x)[c]));
      }
  }
}

TEST_CASE("augment operations: AutoAugment's policies are torchvision's") {
  const nlohmann::json expected = golden::load_fixture("augment_operations");
  for (const auto& [name, policy] : {std::pair{"imagenet", Policy::imagenet}, {"cifar10", Policy::cifar10}}) {
    const auto pairs = policy_pairs(policy);
    const auto& theirs = expected["policies"][name];
    REQUIRE(pairs.size() == 25);
    REQUIRE(theirs.size() == 25);
    for (std::size_t p = 0; p < 25; ++p)
      for (std::size_t i = 0; i < 2; ++i) {
        CAPTURE(p);
        CHECK(kindred::name(pairs[p][i].operation) == our_name(theirs[p][i][0]));
        CHECK(pairs[p][i].probability == theirs[p][i][1].get<double>());
        const int level = theirs[p][i][2];
        if (level >= 0) CHECK(pairs[p][i].level == level);
      }
  }
}

TEST_CASE("augment operations: strengths are torchvision's") {
  const nlohmann::json expected = golden::load_fixture("augment_operations");
  int compared = 0;
  for (const int levels : {10, 31})
    for (const int size : {32, 224}) {
      for (const auto& [theirs, entry] :
           expected["strengths"][std::to_string(levels)][std::to_string(size)].items()) {
        const ImageOperation operation = value_named(operation_names, our_name(theirs)).value();
        CAPTURE(theirs);
        CHECK(has_sign(operation) == entry[1].get<bool>());
        for (std::size_t level = 0; level < entry[0].size(); ++level) {
          double value = entry[0][level];
          if (theirs.starts_with("Translate")) value = std::trunc(value);
          const double ours = operation_value(operation, int(level), levels, size);
          const double factor =
              ours - (opposite(operation, 1) == 1.0f ? 1 : 0);  // torchvision adds the 1 later
          CHECK(factor == doctest::Approx(value).epsilon(1e-5));
          CHECK(opposite(operation, opposite(operation, float(ours))) == doctest::Approx(ours));
          ++compared;
        }
      }
    }
  CHECK(compared > 500);
  std::vector<std::string> names, theirs;
  for (const ImageOperation each : randaugment_operations()) names.emplace_back(name(each));
  for (const std::string each : expected["randaugment"]) theirs.push_back(our_name(each));
  std::sort(names.begin(), names.end());
  std::sort(theirs.begin(), theirs.end());
  CHECK(names == theirs);
  CHECK(all_randaugment_operations().size() == 16);
}

TEST_CASE("augment operations: AutoAugment draws each pair equally often, its operations as often as it says") {
  const Recipe r = recipe("autoaugment-cifar", 32);
  RandomStream random(11, Purpose::test);
  constexpr int draws = 20000;
  std::map<ImageOperation, double> expected, seen;
  for (const PolicyPair& pair : policy_pairs(Policy::cifar10))
    for (const PolicyOperation& each : pair) expected[each.operation] += each.probability * draws / 25;
  int up = 0, down = 0;
  for (int i = 0; i < draws; ++i) {
    const ViewParameters view = draw_view(32, 32, r, 32, random);
    const auto operations = drawn(view);
    REQUIRE(operations.size() >= 1);
    CHECK(operations.back().operation == ImageOperation::cutout);
    CHECK(operations.back().value == 16);
    for (const DrawnOperation& each : operations.first(operations.size() - 1)) {
      ++seen[each.operation];
      CHECK(each.fill == 128);
      if (each.operation == ImageOperation::translate_y) (each.value < 0 ? up : down)++;
    }
  }
  for (const auto& [operation, count] : expected) {
    CAPTURE(name(operation));
    CHECK(std::abs(seen[operation] - count) < 5 * std::sqrt(count) + 1);
  }
  CHECK(std::abs(up - down) < 5 * std::sqrt(up + down));
}

TEST_CASE("augment operations: RandAugment draws N of its list, evenly, all at its magnitude") {
  Recipe r = recipe("stacked-randaugment", 64);
  std::erase_if(r.steps, [](const Step& step) { return !std::holds_alternative<RandAugment>(step); });
  RandAugment& step = std::get<RandAugment>(r.steps.front());
  step.number = 3;
  RandomStream random(12, Purpose::test);
  std::map<ImageOperation, int> seen;
  std::set<std::pair<int, int>> centres;
  constexpr int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    const ViewParameters view = draw_view(64, 64, r, 64, random);
    REQUIRE(view.count == 3);
    for (const DrawnOperation& each : drawn(view)) {
      ++seen[each.operation];
      const float value = operation_value(each.operation, 10, 11, 64);
      CHECK(
          (each.value == value || (has_sign(each.operation) && each.value == opposite(each.operation, value))));
      if (each.operation == ImageOperation::cutout) centres.insert({each.row, each.column});
    }
  }
  CHECK(seen.size() == 16);
  for (const auto& [operation, count] : seen) CHECK(std::abs(count - draws * 3 / 16.0) < 5 * std::sqrt(750));
  CHECK(centres.size() > 500);
}

TEST_CASE("augment operations: too many operations are an error, not an overrun") {
  Recipe r;
  r.steps.assign(9, ColorJitter{.probability = 1, .brightness = 0.5});
  CHECK(most_operations(r) == 36);
  RandomStream random(1, Purpose::test);
  CHECK(error_of([&] { draw_view(8, 8, r, 8, random); }) == "a view has more than 32 operations");
}
