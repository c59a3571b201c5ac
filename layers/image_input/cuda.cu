// Each thread computes one pack of results. The operations and their order are those of the CPU, so the bits
// are the same.
#include <kindred/engine/cuda/packs.h>
#include <kindred/layers/image_input/kernels.h>

namespace kindred {
namespace {

constexpr int threads = 256;

// Constant indices keep the numbers in registers; a variable index would force them into memory.
__device__ float of_channel(const std::array<float, 3>& numbers, unsigned channel) {
  return channel == 0 ? numbers[0] : channel == 1 ? numbers[1] : numbers[2];
}

// A pack may start at any channel, because the width of a pack is not a multiple of 3.
template <typename T, int width>
__global__ void normalize_kernel(const std::uint8_t* images, T* y, PixelStatistics statistics,
                                 std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    const auto bytes = cuda::load<n>(images + i);
    cuda::Pack<T, n> result;
    auto channel = static_cast<unsigned>(i % 3);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const float value = static_cast<float>(bytes.element[k]) / 255.0f;
      const float mean = of_channel(statistics.mean, channel);
      const float deviation = of_channel(statistics.deviation, channel);
      result.element[k] = T((value - mean) / deviation);
      channel = channel == 2 ? 0 : channel + 1;
    }
    cuda::store(y + i, result);
  });
}

void normalize(const Tensor& images, const PixelStatistics& statistics, Output y) {
  const std::int64_t count = y.numel();
  const auto* bytes = images.data<std::uint8_t>();
  cuda::dispatch_cuda("image_input", y.dtype(), [&]<typename T>(T) {
    T* output = y.data<T>();
    cuda::with_width<T>(cuda::packs_fit<T>(bytes, output), [&]<int width>() {
      cuda::launch(normalize_kernel<T, width>, cuda::blocks_for(count, threads * width), threads, bytes, output,
                   statistics, count);
    });
  });
}

const ImageInputKernels kernels = {normalize};

}  // namespace

const ImageInputKernels* const image_input_cuda = &kernels;

}  // namespace kindred
