// The distribution of what a recipe draws: minimum, maximum, mean and the Kolmogorov-Smirnov distance from the
// published distribution. The published numbers are copied from the papers. The seed is fixed, so a result
// never changes by chance.
//
// A distribution that is off by a tenth of its width has a distance of 0.05 and more from the right one; 4,000
// right draws stay below 1.63 / sqrt(4000) = 0.026 in 99 of 100 seeds.
#include <kindred/data/views/augment.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace kindred {
namespace {

constexpr int draws = 10000;
constexpr int side = 8000;  // of the picture; so large that rounding crops to whole pixels does not matter

// Checks that the values are uniform in [low, high].
void check_uniform(const std::string& what, std::vector<double> values, double low, double high) {
  CAPTURE(what);
  REQUIRE(values.size() > 1000);
  std::sort(values.begin(), values.end());
  const double width = high - low, count = static_cast<double>(values.size());
  CHECK(values.front() >= low - 1e-6 - 1e-3 * width);
  CHECK(values.front() < low + 0.01 * width);
  CHECK(values.back() <= high + 1e-6 + 1e-3 * width);
  CHECK(values.back() > high - 0.01 * width);
  double distance = 0, sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double expected = (values[i] - low) / width;
    distance = std::max({distance, std::abs(expected - static_cast<double>(i) / count),
                         std::abs(expected - static_cast<double>(i + 1) / count)});
    sum += values[i];
  }
  CHECK(distance < 1.63 / std::sqrt(count));
  CHECK(std::abs(sum / count - (low + high) / 2) < 4 * width / std::sqrt(12 * count));
}

// Checks that `count` of `of` fits a probability, within four and a half deviations (there are dozens of such
// checks).
void check_share(const std::string& what, double count, double of, double probability) {
  CAPTURE(what);
  CHECK(std::abs(count / of - probability) < 4.5 * std::sqrt(probability * (1 - probability) / of) + 1e-9);
}

struct Drawn {
  std::vector<double> areas, log_ratios;  // of crops that always fit into the picture
  std::map<ImageOperation, std::vector<double>> values;
  std::map<int, int> orders;  // of the four operations of a jitter
  int flips = 0, jitters = 0, crops = 0;
  std::vector<double> tops;  // of small crops, as a share of where they could lie
};

Drawn draw(const Recipe& recipe, int size) {
  Drawn all;
  RandomStream random(11, Purpose::test);
  for (int i = 0; i < draws; ++i) {
    const ViewParameters p = draw_view(side, side, recipe, size, random);
    const double area = p.crop.height * double(p.crop.width) / (double(side) * side);
    // A crop of up to three quarters of the area fits at every ratio from 3/4 to 4/3.
    if (area < 0.745) {
      all.areas.push_back(area);
      all.log_ratios.push_back(std::log(double(p.crop.width) / p.crop.height));
      if (p.crop.height < 3 * side / 4) all.tops.push_back(p.crop.top / double(side - p.crop.height));
    }
    all.flips += p.flip;
    int order = 0, of_jitter = 0;
    for (int k = 0; k < p.count; ++k) {
      const DrawnOperation& each = p.operations[static_cast<std::size_t>(k)];
      all.values[each.operation].push_back(each.value);
      using enum ImageOperation;
      if (each.operation == brightness || each.operation == contrast || each.operation == color ||
          each.operation == hue) {
        order = order * 32 + static_cast<int>(each.operation);
        ++of_jitter;
      }
    }
    if (of_jitter == 4) {
      ++all.jitters;
      ++all.orders[order];
    }
  }
  return all;
}

void check_crops(const Drawn& all, double least_area) {
  check_uniform("area", all.areas, least_area, 0.745);
  check_uniform("log of the ratio", all.log_ratios, std::log(3.0 / 4), std::log(4.0 / 3));
  check_uniform("place", all.tops, 0, 1);
  check_share("flips", all.flips, draws, 0.5);
}

void check_jitter(Drawn& all, double strength, double most_turns) {
  using enum ImageOperation;
  check_share("jitters", all.jitters, draws, 0.8);
  const double low = std::max(0.0, 1 - strength), high = 1 + strength;
  check_uniform("brightness", all.values[brightness], low, high);
  check_uniform("contrast", all.values[contrast], low, high);
  check_uniform("saturation", all.values[color], low, high);
  check_uniform("hue", all.values[hue], -most_turns, most_turns);
  CHECK(all.orders.size() == 24);
  for (const auto& [order, count] : all.orders) check_share("an order", count, all.jitters, 1.0 / 24);
}

TEST_CASE("draws: the CIFAR recipe of SupContrast") {
  Drawn all = draw(recipe("cifar", 32), 32);
  check_crops(all, 0.2);
  check_jitter(all, 0.4, 0.1);
  check_share("grays", static_cast<double>(all.values[ImageOperation::gray].size()), draws, 0.2);
  CHECK(all.values[ImageOperation::blur].empty());
}

TEST_CASE("draws: SimAugment") {
  Drawn all = draw(recipe("simaugment", 224), 224);
  check_crops(all, 0.08);
  check_jitter(all, 0.8, 0.2);
  check_share("grays", static_cast<double>(all.values[ImageOperation::gray].size()), draws, 0.2);
  check_share("blurs", static_cast<double>(all.values[ImageOperation::blur].size()), draws, 0.5);
  check_uniform("sigma", all.values[ImageOperation::blur], 0.1, 2);
}

TEST_CASE("draws: the probe's crop depends on the size of images") {
  check_crops(draw(recipe("probe", 224), 224), 0.08);
  check_crops(draw(recipe("probe", 64), 64), 0.2);
  CHECK(draw(recipe("probe", 224), 224).values.empty());
}

TEST_CASE("draws: RandAugment takes two operations, each as often as any other") {
  const Drawn all = draw(recipe("randaugment", 224), 224);
  check_crops(all, 0.08);
  std::size_t taken = 0;
  for (const auto& [operation, values] : all.values) taken += values.size();
  CHECK(taken == 2 * draws);
  CHECK(all.values.size() == randaugment_operations().size());
  for (const auto& [operation, values] : all.values) {
    CAPTURE(name(operation));
    check_share("an operation", static_cast<double>(values.size()), 2 * draws,
                1.0 / static_cast<double>(randaugment_operations().size()));
  }
  // Magnitude 9 of 30: rotations by 9 degrees, one way as often as the other.
  const std::vector<double>& turns = all.values.at(ImageOperation::rotate);
  const auto left = std::count_if(turns.begin(), turns.end(), [](double degrees) { return degrees > 0; });
  check_share("rotations to the left", static_cast<double>(left), static_cast<double>(turns.size()), 0.5);
  for (const double degrees : turns) CHECK(std::abs(degrees) == doctest::Approx(9));
}

TEST_CASE("draws: AutoAugment's pairs, and cutout for CIFAR") {
  const Drawn all = draw(recipe("autoaugment-cifar", 32), 32);
  check_crops(all, 0.2);
  CHECK(all.values.at(ImageOperation::cutout).size() >= static_cast<std::size_t>(draws));
  const Drawn imagenet = draw(recipe("autoaugment", 224), 224);
  check_crops(imagenet, 0.08);
  // Its pairs for ImageNet (arXiv 1805.09501, table 9) change colours and rotate, but neither shift nor cut
  // out.
  CHECK(imagenet.values.contains(ImageOperation::posterize));
  CHECK(imagenet.values.contains(ImageOperation::equalize));
  CHECK_FALSE(imagenet.values.contains(ImageOperation::translate_x));
  CHECK_FALSE(imagenet.values.contains(ImageOperation::cutout));
}

TEST_CASE("draws: what is not random is the same in every view") {
  RandomStream random(1, Purpose::test);
  for (const int size : {32, 64, 96, 224}) {
    CAPTURE(size);
    const ViewParameters first = draw_view(300, 400, recipe("none", size), size, random);
    const ViewParameters other = draw_view(300, 400, recipe("none", size), size, random);
    CHECK(first.count == 0);
    CHECK_FALSE(first.flip);
    CHECK(first.top == other.top);
    // The short side of 300 becomes the size itself up to 64 pixels, and 256/224 of it beyond: 110 and 256.
    const std::map<int, int> short_side = {{32, 32}, {64, 64}, {96, 110}, {224, 256}};
    CHECK(first.resized_height == short_side.at(size));
    CHECK(first.resized_width == short_side.at(size) * 400 / 300);
    CHECK(first.top == (first.resized_height - size) / 2);
    CHECK(std::abs(first.left - (first.resized_width - size) / 2.0) <= 0.5);
  }
}

}  // namespace
}  // namespace kindred
