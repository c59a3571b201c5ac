#include <kindred/engine/kernels/dispatch.h>
#include <kindred/layers/image_input/kernels.h>

namespace kindred {

const ImageInputKernels image_input_reference = {
    [](const Tensor& images, const PixelStatistics& statistics, Output y) {
      dispatch_reference("image_input", y.dtype(), [&]<typename T>(T) {
        const std::uint8_t* bytes = images.data<std::uint8_t>();
        for (std::int64_t i = 0; i < y.numel(); ++i) {
          const auto channel = static_cast<std::size_t>(i % 3);
          y.data<T>()[i] = (static_cast<T>(bytes[i]) / 255 - static_cast<T>(statistics.mean[channel])) /
                           static_cast<T>(statistics.deviation[channel]);
        }
      });
    },
};

}  // namespace kindred
