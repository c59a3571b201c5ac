// The sums over all pairs: pair by pair, and on a grid.
#include "../../../errors.h"
#include "clusters.h"

#include <doctest/doctest.h>
#include <kindred/apps/analysis/map/repulsion.h>
#include <kindred/third_party/fftw/fftw.h>

#include <cmath>
#include <complex>
#include <cstddef>
#include <numbers>

namespace kindred {
namespace {

std::vector<double> scattered(std::size_t points, double scale) {
  RandomStream random(8, Purpose::test);
  std::vector<double> places;
  for (std::size_t i = 0; i < 2 * points; ++i) places.push_back(scale * random.uniform(-1, 1));
  return places;
}

// Groups at seven places, as maps have them.
std::vector<double> grouped(std::size_t points, double scale) {
  RandomStream random(9, Purpose::test);
  std::vector<double> places;
  for (std::size_t i = 0; i < 2 * points; ++i)
    places.push_back(scale *
                     (static_cast<double>(i / 2 % 7) * (i % 2 == 0 ? -0.5 : 0.3) + 0.05 * random.normal()));
  return places;
}

Repulsion plain_sums(const std::vector<double>& places) {
  Repulsion sums;
  for (std::size_t i = 0; i < places.size(); i += 2) {
    double x = 0, y = 0;
    for (std::size_t j = 0; j < places.size(); j += 2) {
      if (i == j) continue;
      const double dx = places[i] - places[j], dy = places[i + 1] - places[j + 1],
                   q = 1 / (1 + dx * dx + dy * dy);
      x += q * q * dx;
      y += q * q * dy;
      sums.normalizer += q;
    }
    sums.force.push_back(x);
    sums.force.push_back(y);
  }
  return sums;
}

// The root of the mean square of the difference, as a share of that of the expected.
double error_of_forces(const Repulsion& found, const Repulsion& expected) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.force.size(); ++i) {
    error += std::pow(found.force[i] - expected.force[i], 2);
    size += std::pow(expected.force[i], 2);
  }
  return std::sqrt(error / size);
}

bool has_fftw() {
  if (!fftw::is_available()) MESSAGE("skipped: this build has no FFTW");
  return fftw::is_available();
}

TEST_CASE("repulsion pair by pair is what plain loops sum up") {
  const test::KeepThreads keep;
  for (const std::size_t points : {2u, 9u, 301u}) {
    const std::vector<double> places = scattered(points, 4);
    const Repulsion expected = plain_sums(places);
    Repulsion first;
    for (const int threads : {1, 2}) {
      set_compute_threads(threads);
      Repulsion found;
      exact_repulsion(places, found);
      CHECK(error_of_forces(found, expected) < 3e-6);  // in f32
      CHECK(found.normalizer == doctest::Approx(expected.normalizer).epsilon(3e-7));
      if (threads == 1) first = found;
      CHECK(found.force == first.force);
      CHECK(found.normalizer == first.normalizer);
    }
  }
}

TEST_CASE("repulsion on a grid is within 3 % of that pair by pair, and in small maps within 1e-5") {
  if (!has_fftw()) return;
  GridRepulsion grid;  // one for all: it keeps its kernels, and must see when they no longer fit
  for (const double scale : {30.0, 1e-4, 1e-2, 0.5, 3.0, 10.0, 100.0, 0.5})
    for (const bool in_groups : {false, true}) {
      CAPTURE(scale);
      CAPTURE(in_groups);
      const std::vector<double> places = in_groups ? grouped(1200, scale) : scattered(1200, scale);
      const Repulsion expected = plain_sums(places);
      Repulsion found;
      grid(places, found);
      CHECK(error_of_forces(found, expected) < (scale < 1 ? 1e-5 : 0.03));
      CHECK(found.normalizer == doctest::Approx(expected.normalizer).epsilon(scale < 1 ? 1e-6 : 0.003));
    }
}

TEST_CASE("repulsion on a grid does not depend on threads, and points at one place do not move") {
  if (!has_fftw()) return;
  const test::KeepThreads keep;
  const std::vector<double> places = grouped(2000, 20), together(3000, 0.25);
  Repulsion first;
  for (const int threads : {1, 2, 3}) {
    set_compute_threads(threads);
    GridRepulsion grid;
    Repulsion found;
    grid(places, found);
    if (threads == 1) first = found;
    CHECK(found.force == first.force);
    CHECK(found.normalizer == first.normalizer);
    grid(together, found);
    for (const double force : found.force) CHECK(std::abs(force) < 1e-6);
    CHECK(found.normalizer == doctest::Approx(1500.0 * 1499).epsilon(1e-5));
  }
  // A map beyond all sizes has a coarser grid, and not one that takes all memory.
  GridRepulsion grid;
  Repulsion far;
  grid(scattered(1000, 1e7), far);
  for (const double force : far.force) CHECK(std::isfinite(force));
}

TEST_CASE("FFTW's square transform is the sum that defines it, and back again") {
  if (!fftw::is_available()) {
    CHECK(test::code_of([] { const fftw::SquareTransform none(8); }) == ExitCode::usage);
    return;
  }
  for (const int side : {2, 10, 36}) {  // fewer columns than are transformed together, one block, and several
    const int filled = side / 2;
    const fftw::SquareTransform transform(side);
    const auto cells = static_cast<std::size_t>(side);
    const auto width = static_cast<std::size_t>(transform.spectrum_width());
    RandomStream random(10, Purpose::test);
    std::vector<float> square(static_cast<std::size_t>(filled) * cells);
    for (float& value : square) value = random.normal();
    std::vector<std::complex<float>> spectrum(cells * width);
    transform.forward(square.data(), filled, spectrum.data());
    for (std::size_t v = 0; v < cells; v += 3)
      for (std::size_t u = 0; u < width; ++u) {
        std::complex<double> sum;
        for (std::size_t y = 0; y < static_cast<std::size_t>(filled); ++y)
          for (std::size_t x = 0; x < cells; ++x)
            sum += double(square[y * cells + x]) *
                   std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(u * x + v * y) / side);
        CHECK(std::abs(std::complex<double>(spectrum[v * width + u]) - sum) < 1e-5 * side);
      }
    std::vector<float> back(square.size());
    transform.backward(spectrum.data(), filled, back.data());
    for (std::size_t i = 0; i < square.size(); ++i)
      CHECK(back[i] / static_cast<float>(side * side) == doctest::Approx(square[i]).epsilon(1e-4));
  }
}

}  // namespace
}  // namespace kindred
