// Convolutions on a GPU or an emulated GPU, of windows on rows of a larger tensor. Images of an odd size in f32
// start at addresses with less alignment than a library's engines may assume.
#include "../gpu.h"
#include "sixteenths.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/layers/conv2d/kernels.h>

#include <doctest/doctest.h>

#include <cmath>

namespace kindred {
namespace {

using test::sixteenths;

// Sums of at most 70 products below 1: an engine that transforms its tiles (Winograd, FFT) loses a
// few bits of 24.
void check_close(const Tensor& found, const Tensor& expected) {
  const std::vector<float> a = found.to_vector<float>(), b = expected.to_vector<float>();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(std::abs(a[i] - b[i]) < 1e-3f);
}

TEST_CASE("convolutions on a GPU: windows on rows of images of an odd size" * test::needs_gpu) {
  const ConvShape shape{2, 5, 7, 3, 5, 3, 3, 1, 1, 5, 7};
  const Tensor w = sixteenths({5, 3, 3, 3}, 1);
  const Tensor all_x = sixteenths({6, 5, 7, 3}, 2), all_dy = sixteenths({6, 5, 7, 5}, 3);
  const Tensor gpu_x = all_x.to(Device::cuda, DType::f32), gpu_dy = all_dy.to(Device::cuda, DType::f32),
               gpu_w = w.to(Device::cuda, DType::f32);
  const Conv2dKernels& kernels = conv2d_kernels(Device::cuda);
  for (std::int64_t row = 0; row + shape.n <= 6; ++row) {
    CAPTURE(row);
    const Tensor x = all_x.rows(row, row + shape.n), dy = all_dy.rows(row, row + shape.n);
    const Tensor y = Tensor::empty(dy.shape(), DType::f32, Device::reference), dx = Tensor::empty_like(x),
                 dw = Tensor::empty_like(w);
    conv2d_reference.forward(shape, x, w, Output(y));
    conv2d_reference.backward_data(shape, dy, w, Tensor(), Output(dx));
    conv2d_reference.backward_weight(shape, x, dy, Output(dw));

    // Results go into windows too; what is around the windows must not change.
    const auto room = [](const Shape& s) { return Tensor::full(s, 99, DType::f32, Device::cuda); };
    const Tensor all_y = room(all_dy.shape()), all_dx = room(all_x.shape()), gpu_dw = room(dw.shape());
    const auto window = [&](const Tensor& all) { return all.rows(row, row + shape.n); };
    kernels.forward(shape, window(gpu_x), gpu_w, Output(window(all_y)));
    kernels.backward_data(shape, window(gpu_dy), gpu_w, Tensor(), Output(window(all_dx)));
    kernels.backward_weight(shape, window(gpu_x), window(gpu_dy), Output(gpu_dw));
    check_close(window(all_y), y);
    check_close(window(all_dx), dx);
    check_close(gpu_dw, dw);
    for (std::int64_t other = 0; other < 6; ++other)
      if (other < row || other >= row + shape.n) {
        CHECK(all_y.rows(other, other + 1).to_vector<float>() == std::vector<float>(5 * 7 * 5, 99));
        CHECK(all_dx.rows(other, other + 1).to_vector<float>() == std::vector<float>(5 * 7 * 3, 99));
      }
  }
}

}  // namespace
}  // namespace kindred
