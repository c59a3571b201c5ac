#include <kindred/engine/cpu/targets.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/register_product.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/register_product.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

// sum[Rows][Vectors] stays in registers for the whole length. (For that the loops over it must be unrolled,
// which the pragmas request.)
template <int Rows, int Vectors>
void multiply_block(const Product& p, const float* a, const float* b, float* c) {
  Vector sum[Rows][Vectors];
#pragma GCC unroll 32
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) sum[r][v] = zero();
  for (std::int64_t i = 0; i < p.length; ++i, a += p.a_step, b += p.b_step) {
    Vector factor[Vectors];
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) factor[v] = load(b + v * lanes);
#pragma GCC unroll 32
    for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 32
      for (int v = 0; v < Vectors; ++v) sum[r][v] = multiply_add(a[r * p.a_row], factor[v], sum[r][v]);
  }
#pragma GCC unroll 32
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) {
      float* to = c + r * p.c_row + v * lanes;
      store(to, p.accumulate ? hn::Add(load(to), sum[r][v]) : sum[r][v]);
    }
}

// All rows of so many vectors of columns. Of the rows after the last whole group, first four at a time, then one.
template <int Rows, int Vectors>
void multiply_columns(const Product& p, const float* a, const float* b, float* c) {
  std::int64_t row = 0;
  for (; row + Rows <= p.rows; row += Rows)
    multiply_block<Rows, Vectors>(p, a + row * p.a_row, b, c + row * p.c_row);
  for (; row + 4 <= p.rows; row += 4) multiply_block<4, Vectors>(p, a + row * p.a_row, b, c + row * p.c_row);
  for (; row < p.rows; ++row) multiply_block<1, Vectors>(p, a + row * p.a_row, b, c + row * p.c_row);
}

}  // namespace

void multiply(const Product& p, const float* a, const float* b, float* c) {
  std::int64_t column = 0;
  for (; column + 2 * lanes <= p.columns; column += 2 * lanes)
    multiply_columns<product_rows / 2, 2>(p, a, b + column, c + column);
  if (column < p.columns) multiply_columns<product_rows, 1>(p, a, b + column, c + column);
}

}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
