// The constants of ImageNet-C (Hendrycks and Dietterich 2019, make_imagenet_c.py) at every severity, measured
// on pictures that show them; and AlexNet's errors.
#include <kindred/data/corruption/corruption_parts.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

namespace kindred {
namespace {

using Bytes = std::vector<std::uint8_t>;
using enum Corruption;

constexpr int side = 96;

Bytes flat(int level) {
  return Bytes(side * side * 3, static_cast<std::uint8_t>(level));
}

// Without the JPEG step that every published image went through.
Bytes applied(Bytes pixels, Corruption corruption, int severity) {
  RandomStream random(2, Purpose::test);
  detail::apply(pixels, side, corruption, severity - 1, random);
  return pixels;
}

double deviation_from(const Bytes& pixels, double level) {
  double sum = 0;
  for (const std::uint8_t pixel : pixels) sum += std::pow((pixel + 0.5) / 255 - level, 2);
  return std::sqrt(sum / static_cast<double>(pixels.size()));
}

double share_of(const Bytes& pixels, int low, int high) {
  const auto count = std::count_if(pixels.begin(), pixels.end(), [&](int p) { return p >= low && p <= high; });
  return static_cast<double>(count) / static_cast<double>(pixels.size());
}

// The deviation of a normal distribution around 0.5 with deviation `sigma`, clipped to 0 and 1.
double clipped(double sigma) {
  double sum = 0, weight = 0;
  for (double z = -6; z < 6; z += 1e-3) {
    const double density = std::exp(-0.5 * z * z), x = std::clamp(sigma * z, -0.5, 0.5);
    sum += density * x * x;
    weight += density;
  }
  return std::sqrt(sum / weight);
}

TEST_CASE("corruptions: every severity of the noises") {
  const std::array gaussian{0.08, 0.12, 0.18, 0.26, 0.38}, impulse{0.03, 0.06, 0.09, 0.17, 0.27},
      photons{60.0, 25.0, 12.0, 5.0, 3.0};
  for (int severity = 1; severity <= 5; ++severity) {
    CAPTURE(severity);
    const auto s = static_cast<std::size_t>(severity - 1);
    CHECK(deviation_from(applied(flat(127), gaussian_noise, severity), 127.0 / 255) ==
          doctest::Approx(clipped(gaussian[s])).epsilon(0.02));
    const Bytes salted = applied(flat(127), impulse_noise, severity);
    CHECK(share_of(salted, 0, 0) + share_of(salted, 255, 255) == doctest::Approx(impulse[s]).epsilon(0.06));
    CHECK(share_of(salted, 0, 0) == doctest::Approx(impulse[s] / 2).epsilon(0.1));
    // Poisson: half as many photons as for a white pixel give a variance of 0.5 / photons. The probability of
    // no photon is exp(-photons / 2).
    const Bytes shot = applied(flat(127), shot_noise, severity);
    const double mean = photons[s] * 127 / 255;
    if (severity <= 3)
      CHECK(deviation_from(shot, 127.0 / 255) == doctest::Approx(std::sqrt(mean) / photons[s]).epsilon(0.05));
    else
      CHECK(share_of(shot, 0, 0) == doctest::Approx(std::exp(-mean)).epsilon(0.08));
  }
}

TEST_CASE("corruptions: every severity of brightness, contrast, pixels and JPEG") {
  const std::array brighter{0.1, 0.2, 0.3, 0.4, 0.5}, contrasts{0.4, 0.3, 0.2, 0.1, 0.05},
      scales{0.6, 0.5, 0.4, 0.3, 0.25};
  const std::array qualities{25, 18, 15, 10, 7};
  Bytes halves = flat(0);  // dark above, light below
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = i < halves.size() / 2 ? 50 : 200;
  Bytes stripes = flat(0);
  for (std::size_t i = 0; i < stripes.size(); ++i) stripes[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  for (int severity = 1; severity <= 5; ++severity) {
    CAPTURE(severity);
    const auto s = static_cast<std::size_t>(severity - 1);
    CHECK(applied(flat(51), brightness, severity)[0] ==
          doctest::Approx(255 * (0.2 + brighter[s])).epsilon(0.01));
    const Bytes flatter = applied(halves, contrast, severity);
    CHECK(std::abs(flatter.back() - flatter.front() - 150 * contrasts[s]) < 1);
    Bytes expected = stripes;
    detail::pixelate(expected, side, scales[s]);
    CHECK(applied(stripes, pixelate, severity) == expected);
    expected = stripes;
    detail::through_jpeg(expected, side, qualities[s]);
    CHECK(applied(stripes, jpeg_compression, severity) == expected);
  }
}

// How far the light of a white point on black spreads.
int spread_of_a_point(Corruption corruption, int severity) {
  Bytes pixels = flat(0);
  for (int c = 0; c < 3; ++c) pixels[static_cast<std::size_t>((side / 2 * side + side / 2) * 3 + c)] = 255;
  // A disc of radius 10 leaves a 400th of the light in each pixel, which is less than a level. So the point is
  // drawn as a bar.
  for (int y = side / 2 - 20; y <= side / 2 + 20; ++y)
    for (int c = 0; c < 3; ++c) pixels[static_cast<std::size_t>((y * side + side / 2) * 3 + c)] = 255;
  const Bytes blurred = applied(pixels, corruption, severity);
  int least = side, most = -1;
  for (int x = 0; x < side; ++x)
    if (blurred[static_cast<std::size_t>((side / 2 * side + x) * 3)] > 0) {
      least = std::min(least, x);
      most = std::max(most, x);
    }
  return most - least + 1;
}

TEST_CASE("corruptions: every severity of the defocus") {
  const std::array radii{3, 4, 6, 8, 10};
  for (int severity = 1; severity <= 5; ++severity) {
    CAPTURE(severity);
    const int width = 2 * radii[static_cast<std::size_t>(severity - 1)] + 1;
    const int spread = spread_of_a_point(defocus_blur, severity);
    // The disc's edge is smoothed by a small Gaussian, which adds at most one pixel on each side.
    CHECK(spread >= width);
    CHECK(spread <= width + 2);
  }
}

TEST_CASE("corruptions: every severity is the one that was asked for, and JPEG of quality 85 comes last") {
  Bytes picture = flat(0);
  for (std::size_t i = 0; i < picture.size(); ++i)
    picture[i] = static_cast<std::uint8_t>(128 + 100 * std::sin(static_cast<double>(i) / 40));
  for (const Corruption corruption : all_corruptions())
    for (int severity = 1; severity <= 5; ++severity) {
      CAPTURE(std::string(name(corruption)));
      CAPTURE(severity);
      Bytes expected = applied(picture, corruption, severity), given = picture;
      detail::through_jpeg(expected, side, 85);
      RandomStream random(2, Purpose::test);
      corrupt(given, side, corruption, severity, random);
      CHECK(given == expected);
    }
}

TEST_CASE("corruptions: AlexNet's errors") {
  const std::map<Corruption, double> published = {{gaussian_noise, 0.886428},
                                                  {shot_noise, 0.894468},
                                                  {impulse_noise, 0.922640},
                                                  {defocus_blur, 0.819880},
                                                  {glass_blur, 0.826268},
                                                  {motion_blur, 0.785948},
                                                  {zoom_blur, 0.798360},
                                                  {snow, 0.866816},
                                                  {fog, 0.819324},
                                                  {brightness, 0.564592},
                                                  {contrast, 0.853204},
                                                  {elastic_transform, 0.646056},
                                                  {pixelate, 0.717840},
                                                  {jpeg_compression, 0.606500}};
  CHECK(published.size() == all_corruptions().size());
  for (const auto& [corruption, error] : published) CHECK(alexnet_error(corruption) == error);
}

}  // namespace
}  // namespace kindred
