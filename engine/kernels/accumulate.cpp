#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/kernels/select.h>
#include <kindred/engine/kernels/work.h>

namespace kindred {
namespace {

template <typename T>
void add_elements(const Tensor& a, const Tensor& b, Output out, std::int64_t grain) {
  const T* pa = a.data<T>();
  const T* pb = b.data<T>();
  T* po = out.data<T>();
  parallel_for(out.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) po[i] = static_cast<T>(pa[i] + pb[i]);
  });
}

constexpr std::int64_t one_thread = INT64_MAX;

void reference_add(const Tensor& a, const Tensor& b, Output out) {
  if (out.dtype() == DType::f64)
    add_elements<double>(a, b, out, one_thread);
  else
    add_elements<float>(a, b, out, one_thread);
}

void cpu_add(const Tensor& a, const Tensor& b, Output out) {
  constexpr std::int64_t grain = 16384;
  if (out.dtype() == DType::bf16)
    add_elements<BFloat16>(a, b, out, grain);
  else
    add_elements<float>(a, b, out, grain);
}

template <typename T>
void move_elements(Output average, const Tensor& value, double weight, std::int64_t grain) {
  T* pa = average.data<T>();
  const T* pv = value.data<T>();
  const T w = static_cast<T>(weight);
  parallel_for(average.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) pa[i] += (pv[i] - pa[i]) * w;
  });
}

void reference_move(Output average, const Tensor& value, double weight) {
  if (average.dtype() == DType::f64)
    move_elements<double>(average, value, weight, one_thread);
  else
    move_elements<float>(average, value, weight, one_thread);
}

void cpu_move(Output average, const Tensor& value, double weight) {
  move_elements<float>(average, value, weight, 16384);
}

const WorkKind add_kind("add"), move_kind("move_average");

void plan_add(const Tensor& a, const Tensor& b, Output out) {
  record_work(add_kind, {.read = bytes_of({a, b}), .written = bytes_of({out})});
}

void plan_move(Output average, const Tensor& value, double) {
  record_work(move_kind, {.read = bytes_of({average, value}), .written = bytes_of({average})});
}

const AccumulateKernels& kernels_for(Device device) {
  return select_kernels("add", device, accumulate_reference, accumulate_cpu, accumulate_cuda, accumulate_plan);
}

}  // namespace

const AccumulateKernels accumulate_reference = {reference_add, reference_move};
const AccumulateKernels accumulate_cpu = {cpu_add, cpu_move};
const AccumulateKernels accumulate_plan = {plan_add, plan_move};

void add(const Tensor& a, const Tensor& b, Output out) {
  check_shape(b, a.shape(), "the second operand of an addition");
  check_shape(out, a.shape(), "the result of an addition");
  kernels_for(out.device()).add(a, b, out);
}

void move_average(Output average, const Tensor& value, double weight) {
  check_shape(value, average.shape(), "what an average moves to");
  kernels_for(average.device()).move_average(average, value, weight);
}

void accumulate(Output target, const Tensor& value) {
  add(target, value, target);
}

}  // namespace kindred
