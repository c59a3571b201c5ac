// Linear layers on a GPU or an emulated GPU, beyond the registry's cases: sums over many rows, and a bias
// gradient that is requested alone or together with the weight's.
#include "../gpu.h"
#include "sixteenths.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/layers/linear/kernels.h>

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

using test::sixteenths;

TEST_CASE("linear layers on a GPU: gradients of weight and bias over many rows" * test::needs_gpu) {
  for (const std::int64_t rows : {1, 7, 8, 9, 300})
    for (const std::int64_t out : {1, 31, 33, 64}) {
      CAPTURE(rows);
      CAPTURE(out);
      const Tensor x = sixteenths({rows, 5}, 1), dy = sixteenths({rows, out}, 2);
      const Tensor dw = Tensor::empty({out, 5}, DType::f32, Device::reference);
      const Tensor db = Tensor::empty({out}, DType::f32, Device::reference);
      linear_kernels(Device::reference).backward_weight(x, dy, Output(dw), Output(db));
      for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
        memory_pool(Device::cuda).set_poison(true);
        const Tensor gpu_dw = Tensor::empty(dw.shape(), DType::f32, Device::cuda);
        const Tensor gpu_db = Tensor::empty(db.shape(), DType::f32, Device::cuda);
        const Tensor alone = Tensor::empty(db.shape(), DType::f32, Device::cuda);
        memory_pool(Device::cuda).set_poison(false);
        const Tensor gpu_x = x.to(Device::cuda, dtype), gpu_dy = dy.to(Device::cuda, dtype);
        const LinearKernels& kernels = linear_kernels(Device::cuda);
        kernels.backward_weight(gpu_x, gpu_dy, Output(gpu_dw), Output(gpu_db));
        kernels.backward_bias(gpu_dy, Output(alone));
        // Sums of multiples of 1/256 below 2^15 are exact in f32 in any order.
        CHECK(gpu_dw.to_vector<double>() == dw.to_vector<double>());
        CHECK(gpu_db.to_vector<double>() == db.to_vector<double>());
        CHECK(alone.to_vector<double>() == db.to_vector<double>());
      }
    }
}

TEST_CASE("linear layers on a GPU: a ReLU keeps a NaN" * test::needs_gpu) {
  const Tensor x = Tensor::from(std::vector<float>{1, -1, std::nanf("")}, {3, 1}, Device::cuda);
  const Tensor w = Tensor::full({1, 1}, 2, DType::f32, Device::cuda);
  for (const Tensor& bias : {Tensor(), Tensor::full({1}, 0.5, DType::f32, Device::cuda)}) {
    CAPTURE(bias.defined());
    const Tensor y = Tensor::empty({3, 1}, DType::f32, Device::cuda);
    linear_kernels(Device::cuda).forward(x, w, bias, true, Output(y));
    const std::vector<float> values = y.to_vector<float>();
    CHECK(values[0] == (bias.defined() ? 2.5f : 2.0f));
    CHECK(values[1] == 0);
    CHECK(std::isnan(values[2]));
  }
}

}  // namespace
}  // namespace kindred
