// The matrix products that FAISS asks BLAS for, by oneDNN, which the programs have anyway: as fast as the best BLAS, without
// threads of its own. A BLAS of the system may be a plain one that is ten times slower (Debian's libblas3).
#include <oneapi/dnnl/dnnl.h>

#include <cstddef>

extern "C" {

// BLAS: c = alpha op(a) op(b) + beta c, columns after each other. The same memory read as rows holds the transposed matrices,
// and (op(a) op(b))^T = op(b)^T op(a)^T.
int sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
           const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
           const float* beta, float* c, const int* ldc);
int sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
           const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
           const float* beta, float* c, const int* ldc) {
  if (*m == 0 || *n == 0) return 0;
  if (dnnl_sgemm(*transpose_b, *transpose_a, *n, *m, *k, *alpha, b, *ldb, a, *lda, *beta, c, *ldc) ==
      dnnl_success)
    return 0;
  // It found no memory. FAISS does not look at what is returned, and would rank what the memory held before.
  const bool is_a_turned = *transpose_a != 'N' && *transpose_a != 'n',
             is_b_turned = *transpose_b != 'N' && *transpose_b != 'n';
  for (std::ptrdiff_t column = 0; column < *n; ++column)
    for (std::ptrdiff_t row = 0; row < *m; ++row) {
      float sum = 0;
      for (std::ptrdiff_t i = 0; i < *k; ++i)
        sum += (is_a_turned ? a[row * *lda + i] : a[i * *lda + row]) *
               (is_b_turned ? b[i * *ldb + column] : b[column * *ldb + i]);
      float& to = c[column * *ldc + row];
      to = *alpha * sum + (*beta == 0 ? 0 : *beta * to);
    }
  return 0;
}
}
