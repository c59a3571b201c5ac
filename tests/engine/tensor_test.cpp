#include <doctest/doctest.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/tensor.h>

#include <bit>
#include <cmath>
#include <limits>

namespace kindred {
namespace {

using Floats = std::vector<float>;

TEST_CASE("shape: rank, elements and text") {
  CHECK(Shape().rank() == 0);
  CHECK(Shape().numel() == 1);
  CHECK(Shape().back() == 1);
  CHECK(Shape().to_string() == "[]");
  CHECK(Shape({2, 3, 5, 7}).numel() == 210);
  CHECK(Shape({2, 3, 5, 7}).back() == 7);
  CHECK(Shape({2, 0, 5}).numel() == 0);
  CHECK(Shape({8, 224, 224, 3}).to_string() == "[8, 224, 224, 3]");
  CHECK(Shape({2, 3}) != Shape({3, 2}));
  CHECK(Shape({2}) != Shape({2, 1}));
  CHECK_THROWS_AS(Shape({1, 2, 3, 4, 5}), Error);
}

TEST_CASE("tensor: a copy of the handle sees the same bytes, a copy by to() does not") {
  const Tensor a = Tensor::from(Floats{1, 2, 3, 4, 5, 6}, {2, 3}, Device::cpu);
  Tensor same = a;
  Tensor other = a.to(Device::reference, DType::f32);
  CHECK(same.id() == a.id());
  CHECK(other.id() != a.id());
  same.fill(9);
  CHECK(a.to_vector<float>() == Floats(6, 9));
  CHECK(other.to_vector<float>() == Floats{1, 2, 3, 4, 5, 6});
}

TEST_CASE("tensor: windows, rows and reshapes are views") {
  const Tensor a = Tensor::from(Floats{0, 1, 2, 3, 4, 5}, {3, 2}, Device::cpu);
  CHECK(a.rows(1, 3).to_vector<float>() == Floats{2, 3, 4, 5});
  CHECK(a.rows(1, 3).shape() == Shape({2, 2}));
  CHECK(a.rows(1, 1).numel() == 0);
  CHECK(a.window(1, {2}).to_vector<float>() == Floats{1, 2});
  CHECK(a.rows(1, 3).rows(1, 2).to_vector<float>() == Floats{4, 5});
  CHECK(a.reshape({6}).shape() == Shape({6}));
  Tensor middle = a.window(2, {2});
  middle.fill(-1);
  CHECK(a.to_vector<float>() == Floats{0, 1, -1, -1, 4, 5});
  CHECK(middle.storage_key() == a.storage_key());
  CHECK(middle.id() != a.id());
  CHECK_FALSE(Tensor(a).set_requires_grad().window(0, {1}).requires_grad());
  CHECK_THROWS_AS(a.window(5, {2}), Error);
  CHECK_THROWS_AS(a.window(-1, {2}), Error);
  CHECK_THROWS_AS(a.rows(2, 1), Error);
  CHECK_THROWS_AS(a.rows(0, 4), Error);
  CHECK_THROWS_AS(a.reshape({5}), Error);
}

TEST_CASE("tensor: misuse is an error with both sides named") {
  const Tensor a = Tensor::zeros({2}, DType::f32, Device::cpu);
  CHECK_THROWS_WITH_AS(a.data<double>(), "a f32 tensor was read as f64", Error);
  CHECK_THROWS_AS(Tensor::from(Floats{1, 2}, {3}, Device::cpu), Error);
  CHECK_THROWS_AS(Tensor::empty({2, -1}, DType::f32, Device::cpu), Error);
  CHECK_THROWS_AS(Tensor(a).copy_from(Tensor::zeros({3}, DType::f32, Device::cpu)), Error);
  CHECK_THROWS_AS(check_shape(a, {3}, "x"), Error);
  CHECK_THROWS_AS(check_shape(Tensor(), {3}, "x"), Error);
  CHECK_THROWS_AS(check_same_device(a, Tensor::zeros({2}, DType::f32, Device::reference), "x"), Error);
}

TEST_CASE("tensor: an undefined tensor has nothing to ask for, and says so") {
  const Tensor undefined;
  const char* const message =
      "a tensor was used that is undefined: it was made by Tensor() and never set, or belongs to a "
      "ParameterStore "
      "without allocate()";
  CHECK_THROWS_WITH_AS(undefined.shape(), message, Error);
  CHECK_THROWS_WITH_AS(undefined.numel(), message, Error);
  CHECK_THROWS_WITH_AS(undefined.dim(0), message, Error);
  CHECK_THROWS_WITH_AS(undefined.bytes(), message, Error);
  CHECK_THROWS_WITH_AS(undefined.data<float>(), message, Error);
  CHECK_THROWS_WITH_AS(undefined.to_vector<float>(), message, Error);
  CHECK_THROWS_WITH_AS(undefined.to(Device::cpu, DType::f32), message, Error);
  CHECK_THROWS_WITH_AS(undefined.window(0, {1}), message, Error);
  CHECK_THROWS_WITH_AS(Tensor().fill(0), message, Error);
  CHECK_THROWS_WITH_AS(Tensor::empty_like(undefined), message, Error);
  CHECK_THROWS_WITH_AS(Tensor::zeros({1}, DType::f32, Device::cpu).copy_from(undefined), message, Error);
  CHECK(undefined.raw() == nullptr);
  CHECK(undefined.storage_bytes() == 0);
}

TEST_CASE("tensor: element types convert") {
  const Tensor a = Tensor::from(Floats{0, 1, -2.5f, 200.75f}, {4}, Device::cpu);
  for (const DType type : {DType::f64, DType::bf16})
    CHECK(a.to(Device::cpu, type).to_vector<float>()[2] == -2.5f);
  CHECK(a.to(Device::cpu, DType::i32).to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1, -2, 200});
  CHECK(a.rows(3, 4).to(Device::cpu, DType::u8).to_vector<double>() == std::vector<double>{200});
  CHECK(Tensor::full({2}, 0.1, DType::f64, Device::reference).to_vector<double>()[1] == 0.1);
  CHECK(Tensor::full({2}, 7, DType::i32, Device::cpu).to_vector<std::int32_t>()[1] == 7);
}

TEST_CASE("bfloat16: rounds to nearest, ties to even; NaN and infinity stay") {
  const auto rounded = [](std::uint32_t bits) { return BFloat16(std::bit_cast<float>(bits)).bits; };
  CHECK(rounded(0x3f800000) == 0x3f80);
  CHECK(rounded(0x3f807fff) == 0x3f80);
  CHECK(rounded(0x3f808000) == 0x3f80);  // a tie, to even: down
  CHECK(rounded(0x3f808001) == 0x3f81);
  CHECK(rounded(0x3f818000) == 0x3f82);  // a tie, to even: up
  CHECK(rounded(0xbf818000) == 0xbf82);
  CHECK(rounded(0x7f7fffff) == 0x7f80);  // the largest float is nearer to infinity
  CHECK(rounded(0x00000001) == 0x0000);
  CHECK(std::isinf(float(BFloat16(std::numeric_limits<float>::infinity()))));
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0x7fffffffu})
    CHECK(std::isnan(float(BFloat16(std::bit_cast<float>(bits)))));
  // Every bf16 value is unchanged after the conversion to float and back.
  int changed = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = std::bit_cast<float>(bits << 16);
    if (!std::isnan(value)) changed += BFloat16(value).bits != bits;
  }
  CHECK(changed == 0);
}

TEST_CASE("add: elementwise, into an operand too") {
  for (const Device device : {Device::reference, Device::cpu}) {
    const Tensor a = Tensor::full({100'003}, 1.5, DType::f32, device),
                 b = Tensor::full({100'003}, 2, DType::f32, device);
    add(a, b, Output(b));
    CHECK(b.to_vector<float>() == Floats(100'003, 3.5f));
    accumulate(Output(b), a);
    CHECK(b.to_vector<float>() == Floats(100'003, 5));
  }
  CHECK_THROWS_AS(accumulate(Output(Tensor::zeros({2}, DType::f32, Device::cpu)),
                             Tensor::zeros({3}, DType::f32, Device::cpu)),
                  Error);
}

}  // namespace
}  // namespace kindred
