// The matrix product of third_party/onednn.h in bf16, computed in f32: for processors on which oneDNN has no bf16. Factors
// are converted on the way in and the result on the way out; sums are f32's, as they are in oneDNN's own bf16 product.
// Included by onednn.cpp alone.
#pragma once

#include <kindred/third_party/onednn.h>

namespace kindred::onednn {

void bf16_gemm_in_f32(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                      const BFloat16* a, const BFloat16* b, void* c, DType c_dtype);

}  // namespace kindred::onednn
