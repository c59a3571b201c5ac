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
  return dnnl_sgemm(*transpose_b, *transpose_a, *n, *m, *k, *alpha, b, *ldb, a, *lda, *beta, c, *ldc) ==
                 dnnl_success
             ? 0
             : 1;
}
}
