// The figures of a batch of features, for inputs with known values.
#include <kindred/losses/diagnostics/diagnostics.h>

#include "supcon_evaluate.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("diagnostics: two images of one class, one of another, by hand") {
  // Two views of image 0 at 0 and 90 degrees, image 1 at 180 (same class), image 2 at 90 (another class).
  const std::vector<float> features = {1, 0, 0, 1, -1, 0, 0, 1};
  const std::vector<std::int32_t> labels = {4, 4, 4, 9};
  const std::vector<std::int64_t> images = {0, 0, 1, 2};
  const FeatureDiagnostics d = diagnose(features, 2, labels, images);
  CHECK(d.rows == 4);
  CHECK(d.own_views.mean == doctest::Approx(0));
  CHECK(d.own_views.count == 2);
  CHECK(d.other_positives.mean == doctest::Approx((-1.0 + 0) / 2));
  CHECK(d.other_positives.deviation == doctest::Approx(0.5));
  CHECK(d.negatives.mean == doctest::Approx(1.0 / 3));
  CHECK(d.alignment == doctest::Approx((2.0 + 4 + 2) / 3));
  // Squared distances of the six pairs: 2, 4, 2, 2, 0, 2.
  CHECK(d.uniformity == doctest::Approx(std::log((4 * std::exp(-4.0) + std::exp(-8.0) + 1) / 6)));
  CHECK(d.anchors_by_positives == std::map<std::int64_t, std::int64_t>{{0, 1}, {2, 3}});
  CHECK(d.mean_positives() == doctest::Approx(1.5));
  CHECK(d.anchors_without_positives() == 1);
  CHECK(d.effective_rank == doctest::Approx(2));  // two rows along each axis
  // Cosines of own views 0 and 0, of other positives -1, -1, 0, 0, of negatives 0, 0, 1, 1, 0, 0: -1 is in the first of 40 bins,
  // 0 in the one that begins there, 1 in the last.
  std::array<std::int64_t, cosine_bins> own{}, other{}, negatives{};
  own[20] = 2;
  other[0] = other[20] = 2;
  negatives[20] = 4;
  negatives[39] = 2;
  CHECK(d.own_views.bins == own);
  CHECK(d.other_positives.bins == other);
  CHECK(d.negatives.bins == negatives);
}

TEST_CASE("diagnostics: collapse, and as many directions as there are") {
  std::vector<float> alike;
  for (int i = 0; i < 6; ++i) alike.insert(alike.end(), {0.6f, 0, 0.8f});
  const std::vector<std::int32_t> labels = {0, 0, 1, 1, 2, 2};
  const std::vector<std::int64_t> images = {0, 1, 2, 3, 4, 5};
  const FeatureDiagnostics collapsed = diagnose(alike, 3, labels, images);
  CHECK(collapsed.uniformity == doctest::Approx(0).epsilon(1e-5));
  CHECK(collapsed.alignment == doctest::Approx(0).epsilon(1e-5));
  CHECK(collapsed.effective_rank == doctest::Approx(1).epsilon(1e-3));
  const std::vector<float> axes = {1, 0, 0, 0, 1, 0, 0, 0, 1, -1, 0, 0, 0, -1, 0, 0, 0, -1};
  CHECK(diagnose(axes, 3, labels, images).effective_rank == doctest::Approx(3));
  // Many random directions fill the space evenly.
  const std::vector<float> random = supcon_test::unit_rows(400, 16);
  const std::vector<std::int32_t> one_label(400, 0);
  const std::vector<std::int64_t> one_image(400, 0);
  CHECK(diagnose(random, 16, one_label, one_image).effective_rank > 15.5);
}

TEST_CASE("diagnostics: a row alone") {
  const std::vector<float> features = {0.6f, 0.8f};
  const std::vector<std::int32_t> labels = {3};
  const std::vector<std::int64_t> images = {5};
  const FeatureDiagnostics d = diagnose(features, 2, labels, images);
  CHECK(d.anchors_without_positives() == 1);
  CHECK(d.uniformity == 0);
  CHECK(d.negatives.count == 0);
}

}  // namespace
}  // namespace kindred
