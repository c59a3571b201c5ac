// A byte has 256 values, so each channel's results are computed once and then looked up.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/image_input/kernels.h>

namespace kindred {
namespace {

template <typename T>
void normalize(const Tensor& images, const PixelStatistics& statistics, Output y) {
  T table[3][256];
  for (std::size_t channel = 0; channel < 3; ++channel)
    for (int value = 0; value < 256; ++value)
      table[channel][value] =
          T((static_cast<float>(value) / 255.0f - statistics.mean[channel]) / statistics.deviation[channel]);
  const std::uint8_t* bytes = images.data<std::uint8_t>();
  T* out = y.data<T>();
  parallel_for(y.numel() / 3, 8192, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t pixel = begin; pixel < end; ++pixel)
      for (std::int64_t channel = 0; channel < 3; ++channel)
        out[3 * pixel + channel] = table[channel][bytes[3 * pixel + channel]];
  });
}

}  // namespace

const ImageInputKernels image_input_cpu = {
    [](const Tensor& images, const PixelStatistics& statistics, Output y) {
      dispatch_cpu("image_input", y.dtype(), [&]<typename T>(T) { normalize<T>(images, statistics, y); });
    },
};

}  // namespace kindred
