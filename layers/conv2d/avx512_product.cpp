#include <kindred/layers/conv2d/avx512_product.h>

namespace kindred {
namespace {

// sum[Rows][Vectors] stays in registers for the whole length. (For that the loops over it must be unrolled,
// which the pragmas request.)
template <int Rows, int Vectors>
KINDRED_AVX512 void multiply_block(const Product& p, const float* a, const float* b, float* c) {
  __m512 sum[Rows][Vectors];
#pragma GCC unroll 32
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) sum[r][v] = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < p.length; ++i, a += p.a_step, b += p.b_step) {
    __m512 factor[Vectors];
#pragma GCC unroll 32
    for (int v = 0; v < Vectors; ++v) factor[v] = _mm512_loadu_ps(b + v * lanes);
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
      _mm512_storeu_ps(to, p.accumulate ? _mm512_add_ps(_mm512_loadu_ps(to), sum[r][v]) : sum[r][v]);
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

}  // namespace kindred
