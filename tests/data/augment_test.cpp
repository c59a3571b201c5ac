#include "../golden/formula.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/color.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

using namespace kindred;
using namespace kindred::test;

namespace {

const auto random_recipes = {"cifar",       "simaugment",          "autoaugment", "autoaugment-cifar",
                             "randaugment", "stacked-randaugment", "probe"};

Image view_of(const Image& image, const ViewParameters& parameters, int size) {
  Image out(size, size);
  AugmentScratch scratch;
  apply_view(image, parameters, size, out.pixels.data(), scratch);
  return out;
}

Image from_hex(const std::string& text, int size) {
  Image image(size, size);
  REQUIRE(text.size() == image.pixels.size() * 2);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return image;
}

Image run_golden_case(const nlohmann::json& c) {
  const std::string op = c["op"];
  const Image photo = formula_image(48, 40);
  ViewParameters p;
  if (op == "none") {
    RandomStream unused(1, Purpose::test);
    return view_of(photo, draw_view(48, 40, recipe("none", 16), 16, unused), 16);
  }
  if (op == "crop" || op == "flipped_crop") {
    p.crop = {c["box"][0], c["box"][1], c["box"][2], c["box"][3]};
    p.resized_height = p.resized_width = 16;
    p.flip = op == "flipped_crop";
    return view_of(photo, p, 16);
  }
  Planes planes = planes_of(formula_image(24, 24));
  const float factor = c.value("factor", 0.0f);
  BlurScratch scratch;
  if (op == "brightness") adjust_brightness(planes, factor);
  if (op == "contrast") adjust_contrast(planes, factor);
  if (op == "saturation") adjust_saturation(planes, factor);
  if (op == "hue") adjust_hue(planes, factor);
  if (op == "gray") to_gray(planes);
  if (op == "blur") gaussian_blur(planes, c["kernel"], factor, scratch);
  return image_of(planes);
}

}  // namespace

TEST_CASE("augment: torchvision's own results, within a level") {
  const nlohmann::json golden = golden::load_fixture("augment");
  REQUIRE(golden["cases"].size() >= 20);
  for (const auto& c : golden["cases"]) {
    CAPTURE(c.value("op", ""));
    CAPTURE(c.value("factor", 0.0));
    const Image ours = run_golden_case(c);
    CHECK(largest_difference(ours, from_hex(c["out"], ours.width)) <= 1);
  }
}

TEST_CASE("augment: what changes nothing changes nothing") {
  const Image image = formula_image(32, 32);
  ViewParameters whole;
  whole.crop = {0, 0, 32, 32};
  whole.resized_height = whole.resized_width = 32;
  CHECK(view_of(image, whole, 32).pixels == image.pixels);
  using enum ImageOperation;
  for (const ImageOperation at_rest : {brightness, contrast, color, sharpness})
    whole.add({.operation = at_rest, .value = 1});
  for (const ImageOperation at_rest : {identity, hue, blur, shear_x, translate_y, rotate, solarize_add, cutout})
    whole.add({.operation = at_rest, .value = 0});
  whole.add({.operation = rotate, .interpolation = Interpolation::bilinear, .value = 0});
  whole.add({.operation = posterize, .value = 8});
  whole.add({.operation = solarize, .value = 256});
  for (int twice = 0; twice < 2; ++twice) whole.add({.operation = invert});
  CHECK(view_of(image, whole, 32).pixels == image.pixels);
  Planes planes = planes_of(image);
  adjust_brightness(planes, 1);
  adjust_contrast(planes, 1);
  adjust_saturation(planes, 1);
  BlurScratch scratch;
  gaussian_blur(planes, 1, 1.0f, scratch);
  gaussian_blur(planes, 3, 0.1f, scratch);
  CHECK(image_of(planes).pixels == image.pixels);
  whole.count = 0;
  whole.flip = true;
  const Image mirrored = view_of(image, whole, 32);
  CHECK(view_of(mirrored, whole, 32).pixels == image.pixels);
  CHECK(mirrored.pixels != image.pixels);

  RandomStream random(1, Purpose::test);
  for (const int size : {32, 224}) {
    const Image exact = formula_image(size, size);
    Image out(size, size);
    AugmentScratch memory;
    make_view(exact, recipe("none", size), size, random, out.pixels.data(), memory);
    CHECK(out.pixels == exact.pixels);
  }
}

TEST_CASE("augment: a view is a function of its key") {
  const Image image = formula_image(50, 70);
  AugmentScratch scratch;
  for (const char* name : random_recipes) {
    const Recipe r = recipe(name, 48);
    std::set<Bytes> views;
    for (std::uint32_t view = 0; view < 20; ++view) {
      Bytes first(48 * 48 * 3), second(48 * 48 * 3);
      RandomStream a(7, Purpose::augment, 1, 2, view), b(7, Purpose::augment, 1, 2, view);
      make_view(image, r, 48, a, first.data(), scratch);
      AugmentScratch fresh;
      make_view(image, r, 48, b, second.data(), fresh);
      CHECK(first == second);
      CHECK(a.bits() == b.bits());
      views.insert(first);
    }
    CHECK(views.size() == 20);
  }
}

TEST_CASE("augment: crops cover the areas and ratios that the recipe says, and lie within the image") {
  RandomStream random(3, Purpose::test);
  const Recipe r = recipe("cifar");
  double least = 1, most = 0, sum_log_ratio = 0;
  int flips = 0, jitters = 0, grays = 0;
  using enum ImageOperation;
  constexpr int draws = 4000;
  std::set<int> orders;
  for (int i = 0; i < draws; ++i) {
    const ViewParameters p = draw_view(400, 400, r, 32, random);
    CHECK((p.crop.top >= 0 && p.crop.left >= 0));
    CHECK((p.crop.top + p.crop.height <= 400 && p.crop.left + p.crop.width <= 400));
    const double area = p.crop.height * double(p.crop.width) / (400.0 * 400.0);
    least = std::min(least, area);
    most = std::max(most, area);
    const double ratio = double(p.crop.width) / p.crop.height;
    CHECK((ratio > 0.74 && ratio < 1.35));
    sum_log_ratio += std::log(ratio);
    flips += p.flip;
    const auto drawn = std::span(p.operations).first(static_cast<std::size_t>(p.count));
    const bool gray_last = p.count > 0 && drawn.back().operation == gray;
    grays += gray_last;
    if (p.count - gray_last == 0) continue;
    REQUIRE(p.count - gray_last == 4);
    ++jitters;
    int order = 0;
    for (const DrawnOperation& each : drawn.first(4)) {
      order = order * 32 + static_cast<int>(each.operation);
      const float middle = each.operation == hue ? 0.0f : 1.0f, reach = each.operation == hue ? 0.1f : 0.4f;
      CHECK(std::abs(each.value - middle) <= reach + 1e-6f);
    }
    orders.insert(order);
  }
  CHECK((least > 0.19 && least < 0.22 && most > 0.95 && most <= 1.0));
  CHECK(std::abs(sum_log_ratio / draws) < 0.02);
  CHECK(flips == doctest::Approx(0.5 * draws).epsilon(0.06));
  CHECK(jitters == doctest::Approx(0.8 * draws).epsilon(0.05));
  CHECK(grays == doctest::Approx(0.2 * draws).epsilon(0.12));
  CHECK(orders.size() == 24);
}

TEST_CASE("augment: images of any shape") {
  AugmentScratch scratch;
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 500}, {500, 1}, {2, 3}, {7, 2000}, {333, 8}})
    for (const char* name :
         {"cifar", "simaugment", "probe", "none", "autoaugment-cifar", "stacked-randaugment"})
      for (const int size : {1, 2, 5, 32, 70}) {
        CAPTURE(height);
        CAPTURE(width);
        CAPTURE(size);
        Image gray(height, width);  // of one colour: no resampling may change it
        std::fill(gray.pixels.begin(), gray.pixels.end(), std::uint8_t{77});
        Recipe r = recipe(name, size);
        std::erase_if(r.steps, [](const Step& step) {
          return !std::holds_alternative<RandomGray>(step) && !std::holds_alternative<RandomBlur>(step);
        });
        Bytes out(std::size_t(size * size) * 3 + 1, 123);
        for (std::uint32_t view = 0; view < 5; ++view) {
          RandomStream random(1, Purpose::test, 0, 0, view);
          make_view(gray, r, size, random, out.data(), scratch);
          CHECK(std::count(out.begin(), out.end() - 1, 77) == size * size * 3);
          CHECK(out.back() == 123);
        }
      }
}

TEST_CASE("augment: a very long picture does not overflow to black") {
  Image white(1, 3'000'000);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  ViewParameters p;
  p.crop = {0, 0, 1, 3'000'000};
  p.resized_height = p.resized_width = 2;
  const Image out = view_of(white, p, 2);
  CHECK(*std::min_element(out.pixels.begin(), out.pixels.end()) >= 254);
}

TEST_CASE("augment: every operation on views of one to five pixels") {
  AugmentScratch scratch;
  const Image image = formula_image(9, 7);
  for (int size = 1; size <= 5; ++size) {
    for (const char* name : random_recipes) {
      const Recipe r = recipe(name, size);
      Bytes out(std::size_t(size * size) * 3 + 1, 123);
      for (std::uint32_t view = 0; view < 50; ++view) {
        RandomStream random(2, Purpose::test, 0, 0, view);
        make_view(image, r, size, random, out.data(), scratch);
        CHECK(out.back() == 123);
      }
    }
  }
}
