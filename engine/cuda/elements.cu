#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/kernels/with_type.h>
#include <kindred/engine/random/philox.h>

namespace kindred::cuda {
namespace {

constexpr int threads = 256;
constexpr int per_thread = 4;

// Calls body(i) for every i in [0, count). Neighbouring threads take neighbouring elements.
template <typename Body>
__device__ void for_elements(std::int64_t count, Body body) {
  const std::int64_t first = std::int64_t{blockIdx.x} * threads * per_thread + threadIdx.x;
  for (int i = 0; i < per_thread; ++i)
    if (first + i * threads < count) body(first + i * threads);
}

template <typename T>
__global__ void fill_kernel(T* to, double value, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) { to[i] = convert_element<T>(value); });
}

template <typename To, typename From>
__global__ void convert_kernel(const From* from, To* to, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) { to[i] = convert_element<To>(from[i]); });
}

template <typename T>
__global__ void randomize_kernel(T* to, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) {
    RandomStream stream(0, Purpose::test, static_cast<std::uint32_t>(i >> 32), static_cast<std::uint32_t>(i));
    const double number = stream.uniform(-1, 1);
    to[i] = static_cast<T>(sizeof(T) == 1 ? 128 * (number + 1) : number);
  });
}

}  // namespace

void fill(Output tensor, double value) {
  const std::int64_t count = tensor.numel();
  if (count == 0) return;
  with_type(tensor.dtype(), [&]<typename T>(T) {
    launch(fill_kernel<T>, blocks_for(count, threads * per_thread), threads, tensor.data<T>(), value, count);
  });
}

void convert(const Tensor& from, Output to) {
  const std::int64_t count = to.numel();
  if (count == 0) return;
  with_type(to.dtype(), [&]<typename To>(To) {
    with_type(from.dtype(), [&]<typename From>(From) {
      launch(convert_kernel<To, From>, blocks_for(count, threads * per_thread), threads, from.data<From>(),
             to.data<To>(), count);
    });
  });
}

void randomize(Output tensor) {
  const std::int64_t count = tensor.numel();
  const auto start = [&]<typename T>(T) {
    launch(randomize_kernel<T>, blocks_for(count, threads * per_thread), threads, tensor.data<T>(), count);
  };
  if (tensor.dtype() == DType::u8) return start(std::uint8_t{});
  dispatch_cuda("randomize", tensor.dtype(), start);
}

}  // namespace kindred::cuda
