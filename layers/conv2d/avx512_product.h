// A matrix product for the convolutions of this folder, with factors that may lie anywhere in larger arrays.
#pragma once

#include <kindred/layers/conv2d/avx512.h>

#include <cstddef>
#include <cstdint>

namespace kindred {

// The rows of a product are processed in groups of this size. Other numbers of rows are possible, but the last group then
// takes longer for each row.
constexpr int product_rows = 16;

// c[row][column] (+)= sum over i of a[row * a_row + i * a_step] * b[i * b_step + column]. The number of columns is a multiple
// of 16.
struct Product {
  std::int64_t rows, columns, length;
  std::ptrdiff_t a_row, a_step, b_step, c_row;
  bool accumulate;
};
void multiply(const Product& product, const float* a, const float* b, float* c);

}  // namespace kindred
