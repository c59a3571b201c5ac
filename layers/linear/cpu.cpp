// Matrix products by oneDNN; our own code for the bias and its gradient.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/in_f32.h>
#include <kindred/layers/linear/kernels.h>
#include <kindred/third_party/onednn/onednn.h>

namespace kindred {
namespace {

constexpr std::int64_t grain = 4096;  // elements: starting a thread does not pay for fewer

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, bool relu, Output y) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(y, [&](Output result) { forward(widened(x), widened(w), bias, relu, result); });
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = w.dim(0);
  const onednn::Product product{.m = rows, .n = out, .k = in, .transpose_b = true};
  dispatch_cpu("linear", x.dtype(), [&]<typename T>(T) {
    if constexpr (std::is_same_v<T, float>)
      onednn::sgemm(product, x.data<T>(), w.data<T>(), y.data<T>());
    else
      onednn::bf16_gemm(product, x.data<T>(), w.data<T>(), y.raw(), y.dtype());
    if (!bias.defined() && !relu) return;
    const float* b = bias.defined() ? bias.data<float>() : nullptr;
    T* result = y.data<T>();
    parallel_for(rows, grain / out + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t m = begin; m < end; ++m)
        for (std::int64_t o = 0; o < out; ++o) {
          const float value = float(result[m * out + o]) + (b != nullptr ? b[o] : 0.0f);
          result[m * out + o] = T(relu && value < 0 ? 0.0f : value);
        }
    });
  });
}

void backward_data(const Tensor& dy, const Tensor& w, Output dx) {
  if (computes_in_f32(dy.dtype()))
    return compute_in_f32(dx, [&](Output result) { backward_data(widened(dy), widened(w), result); });
  const onednn::Product product{.m = dy.dim(0), .n = w.dim(1), .k = w.dim(0)};
  dispatch_cpu("linear", dy.dtype(), [&]<typename T>(T) {
    if constexpr (std::is_same_v<T, float>)
      onednn::sgemm(product, dy.data<T>(), w.data<T>(), dx.data<T>());
    else
      onednn::bf16_gemm(product, dy.data<T>(), w.data<T>(), dx.raw(), dx.dtype());
  });
}

void backward_bias(const Tensor& dy, Output db) {
  const std::int64_t rows = dy.dim(0), out = dy.dim(1);
  dispatch_cpu("linear", dy.dtype(), [&]<typename T>(T) {
    const T* gradient = dy.data<T>();
    float* result = db.data<float>();
    parallel_for(out, 64, [=](std::int64_t begin, std::int64_t end) {
      std::fill(result + begin, result + end, 0.0f);
      for (std::int64_t m = 0; m < rows; ++m)
        for (std::int64_t o = begin; o < end; ++o) result[o] += float(gradient[m * out + o]);
    });
  });
}

void backward_weight(const Tensor& x, const Tensor& dy, Output dw, Output db) {
  if (computes_in_f32(x.dtype()))
    return compute_in_f32(dw, [&](Output result) { backward_weight(widened(x), widened(dy), result, db); });
  const onednn::Product product{.m = dy.dim(1), .n = x.dim(1), .k = x.dim(0), .transpose_a = true};
  dispatch_cpu("linear", x.dtype(), [&]<typename T>(T) {
    if constexpr (std::is_same_v<T, float>)
      onednn::sgemm(product, dy.data<T>(), x.data<T>(), dw.data<T>());
    else
      onednn::bf16_gemm(product, dy.data<T>(), x.data<T>(), dw.raw(), dw.dtype());
  });
  if (db.defined()) backward_bias(dy, db);
}

}  // namespace

const LinearKernels linear_cpu = {forward, backward_data, backward_weight, backward_bias};

}  // namespace kindred
