// Matrix products on a GPU by cuBLASLt, opened at run time; each shape by the algorithm that was fastest for
// it.
#pragma once

#include <kindred/engine/dtype.h>

#include <compare>
#include <cstdint>
#include <string>

namespace kindred::cublaslt {

// What is done to, or beside, c = op(a) op(b).
enum class Epilogue : std::uint8_t {
  none,
  bias,          // c[i, j] += vector[j]
  row_sums_of_a  // vector[i] = sum over k of op(a)[i, k]: of a weight gradient, that of the bias
};

// c[m, n] = op(a)[m, k] op(b)[k, n]; all of them dense, row by row. Transposed operands are stored [k, m] and
// [n, k].
struct ProductKey {
  DType type;    // of a and b: f32, bf16 or f16. Sums are f32.
  DType result;  // of c and of the epilogue's vector
  bool transpose_a, transpose_b;
  Epilogue epilogue;
  std::int64_t m, n, k;
  int alignment = 0;  // bytes, of every address; multiply() sets it
  auto operator<=>(const ProductKey&) const = default;
  std::string to_string() const;  // "bf16 512x128x2048, b transposed, bias"
};

// Starts the product and does not wait. `vector` is the epilogue's. False, with nothing done, where cuBLASLt
// has no algorithm under the rules of the plan book. The first call for a key times the candidates and waits
// for the GPU.
bool multiply(const ProductKey& key, const void* a, const void* b, void* c, void* vector = nullptr);

// "" when cuBLASLt can be used as far as can be told without a GPU, otherwise why not: what is missing, where
// it was looked for, what to do.
std::string why_missing();

// "cuBLASLt 13.1.0 in /usr/lib/x86_64-linux-gnu", or why_missing().
std::string where();

}  // namespace kindred::cublaslt
