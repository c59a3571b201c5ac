// Cross-entropy on a GPU or an emulated GPU, beyond the registry's cases: values that are not finite, and
// labels that are no classes.
#include "../gpu.h"

#include <kindred/engine/tape.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

double loss_of(const std::vector<float>& logits, const std::vector<std::int32_t>& labels, float smoothing,
               DType dtype = DType::f32) {
  const auto rows = static_cast<std::int64_t>(labels.size());
  const Shape shape{rows, static_cast<std::int64_t>(logits.size()) / rows};
  return cross_entropy(Tensor::from(logits, shape, Device::cuda).to(Device::cuda, dtype),
                       Tensor::from(labels, {rows}, Device::cuda), smoothing)
      .to_vector<double>()[0];
}

TEST_CASE("cross_entropy on cuda: large logits neither overflow nor vanish" * test::needs_gpu) {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(loss_of({1e3f, 0, -1e3f}, {0}, 0) == doctest::Approx(0));
  CHECK(loss_of({1e3f, 0, -1e3f}, {2}, 0) == doctest::Approx(2000));
  CHECK(loss_of({-300, -300, -300, -300}, {1}, 0) == doctest::Approx(std::log(4.0)).epsilon(1e-6));
  CHECK(loss_of({1, 2, -2, infinity}, {0}, 0.1f) != doctest::Approx(0));
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
    CHECK(loss_of(std::vector<float>(3 * 72, 2.5f), {0, 4, 71}, 0.3f, dtype) ==
          doctest::Approx(std::log(72.0)).epsilon(1e-6));
}

TEST_CASE("cross_entropy on cuda: what is wrong shows as NaN" * test::needs_gpu) {
  const float nan = std::nanf("");
  CHECK(std::isnan(loss_of({0, 1, nan, 2, 3, 4}, {0, 1}, 0)));
  CHECK(std::isnan(loss_of({nan, 1, 2, 3}, {0}, 0)));
  for (const std::int32_t label : {-1, 3}) CHECK(std::isnan(loss_of({0, 1, 2, 3, 4, 5}, {2, label}, 0)));
}

TEST_CASE("cross_entropy on cuda: 16-bit logits give a f32 loss and a gradient in their type" *
          test::needs_gpu) {
  for (const DType dtype : {DType::bf16, DType::f16})
    for (const std::int64_t classes : {4, 8}) {
      const Tensor x = Tensor::zeros({2, classes}, dtype, Device::cuda).set_requires_grad();
      Tape tape;
      const Tensor loss = cross_entropy(x, Tensor::from(std::vector<std::int32_t>{1, 3}, {2}, Device::cuda));
      CHECK(loss.dtype() == DType::f32);
      tape.backward(loss);
      CHECK(tape.gradient(x).dtype() == dtype);
      const std::vector<float> gradient = tape.gradient(x).to_vector<float>();
      for (std::int64_t i = 0; i < 2 * classes; ++i) {
        const bool labelled = i == 1 || i == classes + 3;
        CHECK(gradient[static_cast<std::size_t>(i)] ==
              (1.0f / static_cast<float>(classes) - (labelled ? 1.0f : 0.0f)) / 2);
      }
    }
}

}  // namespace
}  // namespace kindred
