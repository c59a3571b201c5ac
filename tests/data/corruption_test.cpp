// ImageNet-C's corruptions: their parts against plain definitions, and how each must change a picture.
// tests/golden/check_corruptions.py compares the deterministic ones with OpenCV, SciPy and Pillow.
#include <kindred/data/corruption/corruption_parts.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>

#include <cmath>
#include <set>

namespace kindred {
namespace {

using detail::Border;
using detail::Plane;
using Bytes = std::vector<std::uint8_t>;

// Smooth colours with a few edges.
Bytes picture(int side) {
  Bytes pixels;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c)
        pixels.push_back(static_cast<std::uint8_t>(100 + 60 * std::sin(0.11 * x + c) * std::cos(0.07 * y) +
                                                   ((x / 13 + y / 13) % 2 ? 30 : -30)));
  return pixels;
}

Bytes corrupted(const Bytes& pixels, int side, Corruption corruption, int severity, std::uint32_t sample = 0) {
  Bytes result = pixels;
  RandomStream random(1, Purpose::test, 0, sample);
  corrupt(result, side, corruption, severity, random);
  return result;
}

double distance(const Bytes& a, const Bytes& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

bool is_random(Corruption corruption) {
  using enum Corruption;
  const std::set<Corruption> plain = {defocus_blur, zoom_blur, brightness,
                                      contrast,     pixelate,  jpeg_compression};
  return !plain.contains(corruption);
}

TEST_CASE("corruptions: names, repeatability, and more severity is further from the picture") {
  const int side = 96;
  const Bytes clean = picture(side);
  std::set<std::string> names;
  for (const Corruption corruption : all_corruptions()) {
    CAPTURE(std::string(name(corruption)));
    CHECK(names.insert(name(corruption)).second);
    CHECK(parse_corruption(name(corruption)) == corruption);
    CHECK(alexnet_error(corruption) > 0.5);
    const Bytes mild = corrupted(clean, side, corruption, 1), worst = corrupted(clean, side, corruption, 5);
    CHECK(mild == corrupted(clean, side, corruption, 1));
    CHECK((mild != corrupted(clean, side, corruption, 1, 7)) == is_random(corruption));
    CHECK(distance(mild, clean) > 1);
    // The severities of elastic deformation differ in kind, as in the paper.
    if (corruption != Corruption::elastic_transform) CHECK(distance(worst, clean) > distance(mild, clean));
  }
  CHECK(names.size() == 14);
  CHECK_THROWS_AS(parse_corruption("frost"), Error);
}

TEST_CASE("corruptions: any side from 32 on, and flat pictures, stay in bounds") {
  for (const int side : {32, 33, 61})
    for (const Corruption corruption : all_corruptions())
      for (const std::uint8_t level : {0, 255})
        for (const int severity : {1, 5})
          corrupted(Bytes(std::size_t(side) * std::size_t(side) * 3, level), side, corruption, severity);
  CHECK_THROWS_AS(corrupted(Bytes(31 * 31 * 3), 31, Corruption::fog, 1), Error);
  CHECK_THROWS_AS(corrupted(Bytes(32 * 32 * 3), 32, Corruption::fog, 6), Error);
}

TEST_CASE("corruptions: noise has the deviation that it should have") {
  const int side = 128;
  const auto deviation = [&](Corruption which, int severity, float level) {
    Plane plane(side, 3);
    std::fill(plane.values.begin(), plane.values.end(), level);
    RandomStream random(3, Purpose::test);
    detail::add_noise(plane, which, severity, random);
    double sum = 0, squares = 0;
    for (const float value : plane.values) {
      sum += double(value);
      squares += double(value) * double(value);
    }
    const double n = static_cast<double>(plane.values.size()), mean = sum / n;
    CHECK(mean == doctest::Approx(which == Corruption::impulse_noise ? level + 0.27 * (0.5 - level) : level)
                      .epsilon(0.02));
    return std::sqrt(squares / n - mean * mean);
  };
  CHECK(deviation(Corruption::gaussian_noise, 4, 0.5f) == doctest::Approx(0.38).epsilon(0.02));
  CHECK(deviation(Corruption::shot_noise, 0, 0.5f) == doctest::Approx(std::sqrt(0.5 / 60)).epsilon(0.02));
  CHECK(deviation(Corruption::shot_noise, 4, 0.25f) == doctest::Approx(std::sqrt(0.25 / 3)).epsilon(0.02));
  CHECK(deviation(Corruption::impulse_noise, 4, 0.5f) == doctest::Approx(std::sqrt(0.27 * 0.25)).epsilon(0.02));
}

TEST_CASE("corruptions: at half the size every four pixels become their mean, the rows after the columns") {
  constexpr int side = 6;
  Bytes pixels;
  for (int i = 0; i < side * side * 3; ++i) pixels.push_back(static_cast<std::uint8_t>(i * 7919 % 251));
  const auto at = [&](int y, int x, int c) { return int{pixels[static_cast<std::size_t>((y * side + x) * 3 + c)]}; };
  Bytes expected;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c) {
        const int top = y / 2 * 2, left = x / 2 * 2;
        const int above = (at(top, left, c) + at(top, left + 1, c) + 1) / 2,
                  below = (at(top + 1, left, c) + at(top + 1, left + 1, c) + 1) / 2;
        expected.push_back(static_cast<std::uint8_t>((above + below + 1) / 2));
      }
  detail::pixelate(pixels, side, 0.5);
  CHECK(pixels == expected);
}

TEST_CASE("corruptions: borders") {
  const auto row = [](Border border) {
    std::string text;
    for (int i = -5; i < 9; ++i) text += static_cast<char>('a' + detail::inside(i, 4, border));
    return text;
  };
  CHECK(row(Border::reflect_101) == "bcdcbabcdcbabc");
  CHECK(row(Border::reflect) == "ddcbaabcddcbaa");
  CHECK(row(Border::nearest) == "aaaaaabcdddddd");
  CHECK(detail::inside(-1000, 7, Border::reflect) >= 0);
}

TEST_CASE("corruptions: filters keep what is flat, and the Gaussian is separable sums") {
  const int n = 20;
  RandomStream random(5, Purpose::test);
  Plane noise(n, 1);
  for (float& value : noise.values) value = random.uniform();
  for (const Border border : {Border::nearest, Border::reflect, Border::reflect_101}) {
    Plane filtered = noise;
    detail::gaussian_filter(filtered, 1.7, 4.0, border);
    const auto weights = detail::gaussian_weights(1.7, 7);  // 4 * 1.7 + .5, rounded down
    for (const auto& [y, x] : {std::pair{0, 0}, {3, 19}, {10, 11}}) {
      double sum = 0;
      for (int i = -7; i <= 7; ++i)
        for (int j = -7; j <= 7; ++j)
          sum += double(weights[std::size_t(i + 7)]) * double(weights[std::size_t(j + 7)]) *
                 double(noise.at(detail::inside(y + i, n, border), detail::inside(x + j, n, border)));
      CHECK(filtered.at(y, x) == doctest::Approx(sum).epsilon(1e-5));
    }
  }
  Plane flat(n, 3);
  std::fill(flat.values.begin(), flat.values.end(), 0.5f);
  for (int severity = 0; severity < 5; ++severity)
    for (const Corruption which :
         {Corruption::defocus_blur, Corruption::glass_blur, Corruption::motion_blur, Corruption::zoom_blur}) {
      Plane blurred(40, 3);
      std::fill(blurred.values.begin(), blurred.values.end(), 0.5f);
      detail::blur(blurred, which, severity, random);
      // Glass blur is quantized in between. The widest disk of defocus blur is itself blurred up to its border
      // and loses a hundredth there, as in the authors' program.
      for (const float value : blurred.values) CHECK(std::abs(value - 0.5f) < 1e-2f);
    }
  const Plane zoomed = detail::zoomed_middle(flat, 1.3);
  for (const float value : zoomed.values) CHECK(value == doctest::Approx(0.5));
}

TEST_CASE("corruptions: motion goes where it is sent") {
  Plane dot(41, 1);
  dot.at(20, 20) = 1;
  Plane right = dot, down = dot;
  detail::motion_blur(right, 5, 3, 180);  // each pixel sums what lies to its left
  detail::motion_blur(down, 5, 3, -90);
  double sum = 0;
  for (int i = 0; i <= 10; ++i) {
    CHECK(right.at(20, 20 + i) > (i < 10 ? right.at(20, 21 + i) : 0));
    CHECK(down.at(20 + i, 20) == doctest::Approx(right.at(20, 20 + i)));
    sum += double(right.at(20, 20 + i));
  }
  CHECK(sum == doctest::Approx(1));
}

}  // namespace
}  // namespace kindred
