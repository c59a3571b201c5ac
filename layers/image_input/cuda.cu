// The operations and their order are those of the CPU, so the bits are the same.
#include <kindred/engine/cuda/packs.h>
#include <kindred/layers/image_input/kernels.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr int threads = 256;

__device__ float normalized(float byte, float mean, float deviation) {
  return (byte / 255.0f - mean) / deviation;
}

// Constant indices keep the numbers in registers; a variable index would force them into memory.
__device__ float of_channel(const std::array<float, 3>& numbers, unsigned channel) {
  return channel == 0 ? numbers[0] : channel == 1 ? numbers[1] : numbers[2];
}

// Three channels: each thread computes one pack of results. A pack may start at any channel, because its width is not a
// multiple of 3.
template <typename T, int width>
__global__ void normalize_kernel(const std::uint8_t* images, T* y, PixelStatistics statistics,
                                 std::int64_t count) {
  cuda::for_packs<width, threads>(count, [=]<int n>(std::int64_t i) {
    const auto bytes = cuda::load<n>(images + i);
    cuda::Pack<T, n> result;
    auto channel = static_cast<unsigned>(i % 3);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      result.element[k] =
          T(normalized(static_cast<float>(bytes.element[k]), of_channel(statistics.mean, channel),
                       of_channel(statistics.deviation, channel)));
      channel = channel == 2 ? 0 : channel + 1;
    }
    cuda::store(y + i, result);
  });
}

constexpr int padded_channels = 8;  // 16 bytes of 16-bit numbers: one store
constexpr int pixels_per_thread = 8;
constexpr int pixels_per_block = threads * pixels_per_thread;

// Three channels and five zeros: one pixel at a time, neighbouring threads taking neighbouring ones. A byte has 256
// values, and each division is a dozen instructions, so a block computes a table first: for 2048 pixels that is an eighth
// of the divisions.
template <typename T>
__global__ void __launch_bounds__(threads)
    normalize_padded_kernel(const std::uint8_t* images, T* y, PixelStatistics statistics, std::int64_t pixels) {
  static_assert(threads == 256, "each thread fills one row of the table");
  __shared__ T table[3][256];
  const auto value = static_cast<float>(threadIdx.x);
#pragma unroll
  for (unsigned channel = 0; channel < 3; ++channel)
    table[channel][threadIdx.x] =
        T(normalized(value, of_channel(statistics.mean, channel), of_channel(statistics.deviation, channel)));
  __syncthreads();

  const std::int64_t first = std::int64_t{blockIdx.x} * pixels_per_block + threadIdx.x;
  std::uint8_t bytes[pixels_per_thread][3];
#pragma unroll
  for (int i = 0; i < pixels_per_thread;
       ++i)  // all loads before the first use; beyond the end the last pixel again
#pragma unroll
    for (int channel = 0; channel < 3; ++channel)
      bytes[i][channel] = images[3 * std::min(first + i * threads, pixels - 1) + channel];
#pragma unroll
  for (int i = 0; i < pixels_per_thread; ++i) {
    cuda::Pack<T, padded_channels> result;
#pragma unroll
    for (int channel = 0; channel < padded_channels; ++channel)
      result.element[channel] = channel < 3 ? table[channel][bytes[i][channel]] : T(0.0f);
    const std::int64_t pixel = first + i * threads;
    if (pixel < pixels) cuda::store(y + padded_channels * pixel, result);
  }
}

void normalize(const Tensor& images, const PixelStatistics& statistics, Output y) {
  const std::int64_t channels = y.dim(3), pixels = images.numel() / 3;
  check(channels == 3 || (channels == padded_channels && size_of(y.dtype()) == 2), ExitCode::internal,
        "image_input: a result of {} {}; expected 3 channels, or {} in 16 bits", channels, name(y.dtype()),
        padded_channels);
  if (pixels == 0) return;
  const auto* bytes = images.data<std::uint8_t>();
  cuda::dispatch_cuda("image_input", y.dtype(), [&]<typename T>(T) {
    T* output = y.data<T>();
    if constexpr (sizeof(T) == 2)
      if (channels == padded_channels)
        return cuda::launch(normalize_padded_kernel<T>, cuda::blocks_for(pixels, pixels_per_block), threads,
                            bytes, output, statistics, pixels);
    cuda::with_width<T>(cuda::packs_fit<T>(bytes, output), [&]<int width>() {
      cuda::launch(normalize_kernel<T, width>, cuda::blocks_for(y.numel(), threads * width), threads, bytes,
                   output, statistics, y.numel());
    });
  });
}

const ImageInputKernels kernels = {normalize};

}  // namespace

const ImageInputKernels* const image_input_cuda = &kernels;

}  // namespace kindred
