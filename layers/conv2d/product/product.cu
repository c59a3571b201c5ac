#include <kindred/engine/cuda/launch.h>
#include <kindred/layers/conv2d/product/forms.h>

namespace kindred {

namespace cuda {

void check_product(const Tensor& x, const Tensor& w, const Tensor& y) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = w.dim(0);
  check(x.dtype() == DType::bf16 && w.dtype() == DType::bf16 && y.dtype() == DType::bf16, ExitCode::usage,
        "a product for Hopper takes bf16 matrices, not {} and {}", name(x.dtype()), name(w.dtype()));
  check(rows > 0 && rows < (std::int64_t{1} << 31) - 128 && product_fits(in, out) && w.dim(1) == in &&
            y.dim(0) == rows && y.dim(1) == out,
        ExitCode::internal, "a product for Hopper takes channels in multiples of 64, not {} x {} by {} x {}",
        rows, in, out, w.dim(1));
  for (const void* address : {x.raw(), w.raw(), y.raw()})
    check(reinterpret_cast<std::uintptr_t>(address) % 16 == 0, ExitCode::internal,
          "a product for Hopper takes matrices at multiples of 16 bytes");
}

}  // namespace cuda

namespace {

const ProductKernels kernels = {cuda::naive_product, cuda::tiled_product, cuda::asynchronous_product,
                                cuda::specialised_product};

}  // namespace

const ProductKernels* const product_cuda = &kernels;

}  // namespace kindred
