// Turns a batch of RGB bytes into normalized activations. Images need no gradient, so nothing is recorded.
#pragma once

#include <kindred/engine/tensor.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace kindred {

// Per channel (red, green, blue), for pixel values scaled to [0, 1].
struct PixelStatistics {
  std::array<float, 3> mean;
  std::array<float, 3> deviation;
  bool operator==(const PixelStatistics&) const = default;
};

// The statistics of the training sets, as their recipes give them (torchvision; HobbitLong/SupContrast).
inline constexpr PixelStatistics imagenet_pixels{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
inline constexpr PixelStatistics cifar10_pixels{{0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}};
inline constexpr PixelStatistics cifar100_pixels{{0.5071f, 0.4867f, 0.4408f}, {0.2675f, 0.2565f, 0.2761f}};

// `name` is imagenet, cifar10 or cifar100. Throws Error(usage) for any other name.
const PixelStatistics& pixel_statistics(std::string_view name);

// The channels of the images that a network is given: 3. On a GPU and in 16 bits there are zeros after them, up to the
// number of channels that its convolutions compute with, so that the first layer needs no padded copy. The same on the
// device `plan` for a GPU.
std::int64_t input_channels(Device device, DType dtype);

// images u8 [n, h, w, 3] -> [n, h, w, input_channels] in `dtype`, on the images' device.
Tensor normalize_images(const Tensor& images, const PixelStatistics& statistics, DType dtype);

}  // namespace kindred
