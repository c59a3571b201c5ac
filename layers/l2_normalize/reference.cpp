#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/l2_normalize/kernels.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

template <typename T>
void forward(const Tensor& x, Output y, Output length) {
  const std::int64_t dim = x.dim(1);
  for (std::int64_t m = 0; m < x.dim(0); ++m) {
    double squares = 0;
    for (std::int64_t d = 0; d < dim; ++d) {
      const double value = x.data<T>()[m * dim + d];
      squares += value * value;
    }
    const double norm = std::sqrt(squares);
    length.data<T>()[m] = static_cast<T>(norm);
    for (std::int64_t d = 0; d < dim; ++d)
      y.data<T>()[m * dim + d] =
          static_cast<T>(x.data<T>()[m * dim + d] / std::max(norm, l2_normalize_shortest));
  }
}

template <typename T>
void backward(const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
  const std::int64_t dim = y.dim(1);
  for (std::int64_t m = 0; m < y.dim(0); ++m) {
    const T norm = length.data<T>()[m];
    T along = 0;
    for (std::int64_t d = 0; d < dim; ++d) along += y.data<T>()[m * dim + d] * dy.data<T>()[m * dim + d];
    for (std::int64_t d = 0; d < dim; ++d) {
      const T across = dy.data<T>()[m * dim + d] - y.data<T>()[m * dim + d] * along;
      dx.data<T>()[m * dim + d] = static_cast<double>(norm) <= l2_normalize_shortest ? T{0} : across / norm;
    }
  }
}

}  // namespace

const L2NormalizeKernels l2_normalize_reference = {
    [](const Tensor& x, Output y, Output length) {
      dispatch_reference("l2_normalize", x.dtype(), [&]<typename T>(T) { forward<T>(x, y, length); });
    },
    [](const Tensor& y, const Tensor& length, const Tensor& dy, Output dx) {
      dispatch_reference("l2_normalize", dx.dtype(), [&]<typename T>(T) { backward<T>(y, length, dy, dx); });
    },
};

}  // namespace kindred
