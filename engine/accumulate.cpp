#include <kindred/engine/accumulate.h>
#include <kindred/engine/kernels.h>
#include <kindred/engine/parallel.h>

namespace kindred {
namespace {

template <typename T>
void add_elements(const Tensor& a, const Tensor& b, const Tensor& out, std::int64_t grain) {
  const T* pa = a.data<T>();
  const T* pb = b.data<T>();
  T* po = out.data<T>();
  parallel_for(out.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) po[i] = static_cast<T>(pa[i] + pb[i]);
  });
}

constexpr std::int64_t one_thread = INT64_MAX;

void reference_add(const Tensor& a, const Tensor& b, const Tensor& out) {
  if (out.dtype() == DType::f64)
    add_elements<double>(a, b, out, one_thread);
  else
    add_elements<float>(a, b, out, one_thread);
}

void cpu_add(const Tensor& a, const Tensor& b, const Tensor& out) {
  constexpr std::int64_t grain = 16384;
  if (out.dtype() == DType::bf16)
    add_elements<BFloat16>(a, b, out, grain);
  else
    add_elements<float>(a, b, out, grain);
}

}  // namespace

const AccumulateKernels accumulate_reference = {reference_add};
const AccumulateKernels accumulate_cpu = {cpu_add};

void add(const Tensor& a, const Tensor& b, const Tensor& out) {
  static constexpr AccumulateKernels plan = {no_operation};
  check_shape(b, a.shape(), "the second operand of an addition");
  check_shape(out, a.shape(), "the result of an addition");
  select_kernels("add", out.device(), accumulate_reference, accumulate_cpu, accumulate_cuda, plan)
      .add(a, b, out);
}

void accumulate(const Tensor& target, const Tensor& value) {
  add(target, value, target);
}

}  // namespace kindred
