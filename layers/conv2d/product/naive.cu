// The product as it is defined: each thread adds up one element of y. Neighbouring threads have neighbouring columns, so
// they read the same row of x and different rows of w: two loads for each product and sum, and nothing is used twice.
#include <kindred/layers/conv2d/product/forms.h>
#include <kindred/layers/conv2d/product/tiles.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 256;

__global__ void naive_kernel(const BFloat16* x, const BFloat16* w, BFloat16* y, ProductSize size) {
  const std::int64_t at = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (at >= size.rows * size.out) return;
  const BFloat16* const row = x + at / size.out * size.in;
  const BFloat16* const column = w + at % size.out * size.in;
  float sum = 0;
  for (int c = 0; c < size.in; ++c) sum += static_cast<float>(row[c]) * static_cast<float>(column[c]);
  y[at] = BFloat16(sum);
}

}  // namespace

void naive_product(const Tensor& x, const Tensor& w, Output y) {
  const ProductSize size{x.dim(0), static_cast<int>(x.dim(1)), static_cast<int>(w.dim(0))};
  launch(naive_kernel, blocks_for(y.numel(), threads), threads, x.data<BFloat16>(), w.data<BFloat16>(),
         y.data<BFloat16>(), size);
}

}  // namespace kindred::cuda
