// Matrix products on a GPU by cuBLASLt, which is opened at run time. Each shape uses the algorithm that was
// fastest for it.
#pragma once

#include <kindred/engine/dtype.h>

#include <compare>
#include <cstdint>
#include <string>

namespace kindred::cublaslt {

// The epilogue: what is done to c = op(a) op(b), or computed together with it.
enum class Epilogue : std::uint8_t {
  none,
  bias,          // c[i, j] += vector[j]
  row_sums_of_a  // vector[i] = sum over k of op(a)[i, k]: the bias gradient, if c is a weight gradient
};

// c[m, n] = op(a)[m, k] op(b)[k, n]. All matrices are contiguous and row-major. Transposed operands are stored
// as [k, m] and [n, k].
struct ProductKey {
  DType type;    // of a and b: f32, bf16 or f16; sums are f32
  DType result;  // of c and of the epilogue's vector
  bool transpose_a, transpose_b;
  Epilogue epilogue;
  std::int64_t m, n, k;
  int alignment = 0;  // in bytes, of every address; multiply() sets it
  auto operator<=>(const ProductKey&) const = default;
  std::string to_string() const;  // "bf16 512x128x2048, b transposed, bias"
};

// Starts the product and does not wait. `vector` belongs to the epilogue. Returns false and does nothing if
// cuBLASLt has no algorithm that the rules of the plan book allow. The first call for a key times the
// candidates and waits for the GPU.
bool multiply(const ProductKey& key, const void* a, const void* b, void* c, void* vector = nullptr);

// Returns "" if cuBLASLt can be used, as far as this can be determined without a GPU. Otherwise says why not:
// what is missing, where it was looked for, and what to do.
std::string why_missing();

// "cuBLASLt 13.1.0 in /usr/lib/x86_64-linux-gnu", or why_missing().
std::string where();

}  // namespace kindred::cublaslt
