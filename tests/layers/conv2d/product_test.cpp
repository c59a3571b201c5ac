// Products for Hopper on a GPU or an emulated one, each form against the plain definition in double.
#include "../../emulated_gpu.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/layers/conv2d/product/product.h>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace kindred {
namespace {

using Numbers = std::vector<float>;

bool can_run() {
  if (product_choice_cuda->usable()) return true;
  MESSAGE("left out: this GPU is no Hopper");
  return false;
}

Numbers rounded_to_bf16(Numbers numbers) {
  for (float& x : numbers) x = static_cast<float>(BFloat16(x));
  return numbers;
}

Numbers random_numbers(std::int64_t count, unsigned seed, float center = 0, float width = 1) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> draw(center - width, center + width);
  Numbers numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = draw(generator);
  return numbers;
}

Tensor on_gpu(const Numbers& numbers, const Shape& shape, DType dtype) {
  const Tensor host = Tensor::empty(shape, DType::f32, Device::cpu);
  std::copy(numbers.begin(), numbers.end(), host.data<float>());
  return host.to(Device::cuda, dtype);
}

struct Size {
  std::int64_t rows, in, out;
};

// Rows that are no multiple of a tile, and channels as ResNet-50 has them.
constexpr Size sizes[] = {{1, 64, 64},    {77, 64, 256},   {130, 256, 64},  {300, 128, 128},
                          {257, 512, 64}, {43, 192, 2048}, {49, 2048, 128}, {21, 1024, 320}};

// Factors, and y in a larger matrix whose other rows must stay.
struct Problem {
  static constexpr std::int64_t around = 3;
  static constexpr float poison = 12345;  // 12352 in bf16
  Size size;
  Numbers x, w;
  Tensor gpu_x, gpu_w, all_y, y;

  Problem(const Size& s, unsigned seed, float center = 0)
      : size(s),
        x(rounded_to_bf16(random_numbers(s.rows * s.in, seed, center))),
        w(rounded_to_bf16(random_numbers(s.out * s.in, seed + 1))),
        gpu_x(on_gpu(x, {s.rows, s.in}, DType::bf16)),
        gpu_w(on_gpu(w, {s.out, s.in}, DType::bf16)),
        all_y(Tensor::full({s.rows + 2 * around, s.out}, poison, DType::bf16, Device::cuda)),
        y(all_y.rows(around, around + s.rows)) {
    gpu().fill(Output(y), std::numeric_limits<double>::quiet_NaN());
  }

  Numbers result() const { return y.to(Device::cpu, DType::f32).to_vector<float>(); }

  // y within the rounding to bf16 (2^-8) and what tensor cores drop: of each 16 products at most 2^-20 of the largest sum so
  // far, which the sum of all sizes bounds.
  void check(std::int64_t row_step = 1) const {
    const Numbers found = result();
    const double steps = static_cast<double>(size.in / 16 + 1);
    for (std::int64_t r = 0; r < size.rows; r += row_step)
      for (std::int64_t k = 0; k < size.out; ++k) {
        double sum = 0, sizes_of_all = 0;
        for (std::int64_t c = 0; c < size.in; ++c) {
          const double product = static_cast<double>(x[static_cast<std::size_t>(r * size.in + c)]) *
                                 static_cast<double>(w[static_cast<std::size_t>(k * size.in + c)]);
          sum += product;
          sizes_of_all += std::abs(product);
        }
        const double tolerance = 0.00391 * std::abs(sum) + steps * 2e-7 * sizes_of_all;
        const auto value = static_cast<double>(found[static_cast<std::size_t>(r * size.out + k)]);
        CAPTURE(r);
        CAPTURE(k);
        REQUIRE(std::abs(value - sum) <= tolerance);
      }
    const Numbers all = all_y.to(Device::cpu, DType::f32).to_vector<float>();
    const auto border = static_cast<std::size_t>(around * size.out);
    const float kept = static_cast<float>(BFloat16(poison));
    for (std::size_t i = 0; i < border; ++i) {
      REQUIRE(all[i] == kept);
      REQUIRE(all[all.size() - 1 - i] == kept);
    }
  }
};

using Form = void (*)(const Tensor& x, const Tensor& w, Output y);

// Every launch draws another order in the emulation, so two runs are two orders.
void check_form(Form form) {
  if (!can_run()) return;
  unsigned seed = 1;
  for (const Size& size : sizes) {
    CAPTURE(size.rows);
    CAPTURE(size.in);
    CAPTURE(size.out);
    const Problem problem(size, seed += 2);
    form(problem.gpu_x, problem.gpu_w, Output(problem.y));
    problem.check();
    const Numbers first = problem.result();
    gpu().fill(Output(problem.y), std::numeric_limits<double>::quiet_NaN());
    form(problem.gpu_x, problem.gpu_w, Output(problem.y));
    CHECK(problem.result() == first);
  }
}

void bare_specialised(const Tensor& x, const Tensor& w, Output y) {
  product_cuda->specialised(x, w, {}, y, {});
}

// max(0, x slope + shift) as the kernel rounds it: once to f32, once to bf16.
void normalise(Problem& problem, const Numbers& slope, const Numbers& shift) {
  const auto in = static_cast<std::size_t>(problem.size.in);
  for (std::size_t i = 0; i < problem.x.size(); ++i) {
    const float value = std::fma(problem.x[i], slope[i % in], shift[i % in]);
    problem.x[i] = value <= 0 ? 0.0f : static_cast<float>(BFloat16(value));
  }
}

// Mean and biased variance of the columns of y as it was found, by two passes in double. f32 sums of deviations from an
// element of the column lose at most some 2^-18 of the spread.
void check_moments(const Problem& problem, const Tensor& mean, const Tensor& variance) {
  const Numbers y = problem.result(), means = mean.to_vector<float>(), variances = variance.to_vector<float>();
  const std::int64_t rows = problem.size.rows, columns = problem.size.out;
  for (std::int64_t k = 0; k < columns; ++k) {
    double sum = 0, spread = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      sum += static_cast<double>(y[static_cast<std::size_t>(r * columns + k)]);
    const double expected = sum / static_cast<double>(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      const double apart = static_cast<double>(y[static_cast<std::size_t>(r * columns + k)]) - expected;
      spread += apart * apart;
    }
    spread /= static_cast<double>(rows);
    CAPTURE(k);
    REQUIRE(std::abs(static_cast<double>(means[static_cast<std::size_t>(k)]) - expected) <=
            1e-5 * std::sqrt(spread) + 1e-6 * std::abs(expected));
    REQUIRE(std::abs(static_cast<double>(variances[static_cast<std::size_t>(k)]) - spread) <=
            2e-5 * spread + 1e-12);
  }
}

TEST_CASE("products for Hopper on a GPU: the naive form" * test::needs_gpu) {
  check_form(product_cuda->naive);
}

TEST_CASE("products for Hopper on a GPU: the tiled form" * test::needs_gpu) {
  check_form(product_cuda->tiled);
}

TEST_CASE("products for Hopper on a GPU: the asynchronous form" * test::needs_gpu) {
  check_form(product_cuda->asynchronous);
}

TEST_CASE("products for Hopper on a GPU: the specialised form" * test::needs_gpu) {
  check_form(bare_specialised);
}

TEST_CASE("products for Hopper on a GPU: a batch norm and a ReLU on the way in, moments on the way out" *
          test::needs_gpu) {
  if (!can_run()) return;
  unsigned seed = 100;
  for (const Size& size : sizes)
    for (const bool normalised : {true, false}) {
      CAPTURE(size.rows);
      CAPTURE(size.in);
      CAPTURE(size.out);
      CAPTURE(normalised);
      // Without a norm on the way in: columns whose mean is far from zero.
      Problem problem(size, seed += 4, normalised ? 0.25f : 3.0f);
      const Numbers slope = random_numbers(size.in, seed + 2, 1, 0.5f),
                    shift = random_numbers(size.in, seed + 3);
      ProductInput input;
      if (normalised) {
        input = {on_gpu(slope, {size.in}, DType::f32), on_gpu(shift, {size.in}, DType::f32)};
        normalise(problem, slope, shift);
      }
      const Tensor mean = Tensor::full({size.out}, 99, DType::f32, Device::cuda),
                   variance = Tensor::full({size.out}, 99, DType::f32, Device::cuda);
      product_cuda->specialised(problem.gpu_x, problem.gpu_w, input, Output(problem.y), {mean, variance});
      problem.check();
      check_moments(problem, mean, variance);
      // The same bits once more, and the same y without moments.
      const Numbers y = problem.result(), means = mean.to_vector<float>(),
                    variances = variance.to_vector<float>();
      product_cuda->specialised(problem.gpu_x, problem.gpu_w, input, Output(problem.y), {mean, variance});
      CHECK(mean.to_vector<float>() == means);
      CHECK(variance.to_vector<float>() == variances);
      CHECK(problem.result() == y);
      product_cuda->specialised(problem.gpu_x, problem.gpu_w, input, Output(problem.y), {});
      CHECK(problem.result() == y);
    }
}

TEST_CASE("products for Hopper on a GPU: blocks that go through several tiles of rows" * test::needs_gpu) {
  if (!can_run()) return;
  // 32 tiles of columns leave four blocks along the rows; the last tile has nine rows, those of one warp. Of 128 channels w
  // stays in shared memory, of 576 it does not.
  for (const std::int64_t in : {128, 576}) {
    CAPTURE(in);
    const Size size{128 * 4 + 9, in, 4096};
    Problem problem(size, 7, 2.0f);
    const Tensor mean = Tensor::full({size.out}, 99, DType::f32, Device::cuda),
                 variance = Tensor::full({size.out}, 99, DType::f32, Device::cuda);
    product_cuda->specialised(problem.gpu_x, problem.gpu_w, {}, Output(problem.y), {mean, variance});
    problem.check(13);  // also the last row
    check_moments(problem, mean, variance);
  }
}

TEST_CASE("products for Hopper on a GPU: a NaN reaches y and the moments, through the ReLU too" *
          test::needs_gpu) {
  if (!can_run()) return;
  const Size size{20, 64, 64};
  Problem problem(size, 9);
  problem.x[5 * 64 + 3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = on_gpu(problem.x, {size.rows, size.in}, DType::bf16);
  const ProductInput input{Tensor::full({size.in}, 1, DType::f32, Device::cuda),
                           Tensor::full({size.in}, 0, DType::f32, Device::cuda)};
  const Tensor mean = Tensor::full({size.out}, 99, DType::f32, Device::cuda),
               variance = Tensor::full({size.out}, 99, DType::f32, Device::cuda);
  product_cuda->specialised(x, problem.gpu_w, input, Output(problem.y), {mean, variance});
  const Numbers y = problem.result();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / 64 == 5));
  for (const float m : mean.to_vector<float>()) CHECK(std::isnan(m));
  for (const float v : variance.to_vector<float>()) CHECK(std::isnan(v));
}

TEST_CASE("products for Hopper on a GPU: what does not fit is refused" * test::needs_gpu) {
  const Problem odd({5, 72, 64}, 1), narrow({5, 64, 40}, 1);
  for (const Form form : {product_cuda->tiled, product_cuda->asynchronous, Form{bare_specialised}})
    for (const Problem* problem : {&odd, &narrow})
      CHECK_THROWS_WITH_AS(form(problem->gpu_x, problem->gpu_w, Output(problem->y)),
                           doctest::Contains("multiples of 64"), Error);
  CHECK_FALSE(product_fits(72, 64));
  CHECK(product_fits(2048, 512));
  product_cuda->naive(odd.gpu_x, odd.gpu_w, Output(odd.y));
  odd.check();
}

TEST_CASE("products for Hopper on an emulated GPU: taken only where they are asked for, and fit" *
          test::needs_emulation) {
  const auto is_taken = [](const ConvShape& s, DType dtype) {
    const auto tensor = [dtype](const Shape& shape) { return Tensor::zeros(shape, dtype, Device::cuda); };
    return product_choice_cuda->is_faster(s, tensor({s.n, s.h, s.w, s.c}), tensor({s.k, s.kh, s.kw, s.c}),
                                          tensor({s.n, s.out_h, s.out_w, s.k}));
  };
  const ConvShape plain{2, 4, 4, 64, 128, 1, 1, 1, 0, 4, 4};
  const char* const before = std::getenv("KINDRED_PRODUCT");
  const std::string kept = before == nullptr ? "" : before;
  unsetenv("KINDRED_PRODUCT");
  CHECK_FALSE(is_taken(plain, DType::bf16));
  setenv("KINDRED_PRODUCT", "1", 1);
  CHECK(is_taken(plain, DType::bf16));
  CHECK_FALSE(is_taken(plain, DType::f32));
  CHECK_FALSE(is_taken(plain, DType::f16));
  CHECK_FALSE(is_taken({2, 4, 4, 64, 128, 1, 1, 2, 0, 2, 2}, DType::bf16));
  CHECK_FALSE(is_taken({2, 4, 4, 64, 128, 3, 3, 1, 1, 4, 4}, DType::bf16));
  CHECK_FALSE(is_taken({2, 4, 4, 72, 128, 1, 1, 1, 0, 4, 4}, DType::bf16));
  CHECK_FALSE(is_taken({2, 4, 4, 64, 8, 1, 1, 1, 0, 4, 4}, DType::bf16));
  const Problem problem({2 * 3 * 5, 64, 128}, 11);
  const auto convolved = [&](const ConvShape& s) {
    return convolved_by_product(s, problem.gpu_x.reshape({s.n, s.h, s.w, s.c}),
                                problem.gpu_w.reshape({s.k, 1, 1, s.c}),
                                Output(problem.y.reshape({s.n, s.h, s.w, s.k})));
  };
  CHECK(convolved({2, 3, 5, 64, 128, 1, 1, 1, 0, 3, 5}));
  problem.check();
  if (before == nullptr)
    unsetenv("KINDRED_PRODUCT");
  else
    setenv("KINDRED_PRODUCT", kept.c_str(), 1);
}

}  // namespace
}  // namespace kindred
