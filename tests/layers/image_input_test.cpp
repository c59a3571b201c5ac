// Bytes of images as the numbers that a network takes.
#include "../gpu.h"

#include <doctest/doctest.h>
#include <kindred/layers/image_input/image_input.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("images: bytes become numbers, with the mean and deviation of each channel" * test::also_on_gpu) {
  const PixelStatistics statistics{{0.2f, 0.4f, 0.6f}, {0.5f, 0.25f, 0.1f}};
  const std::vector<std::uint8_t> bytes{0, 51, 102, 153, 204, 255};  // 0, 1/5, 2/5, ... of 255; two pixels
  const std::vector<float> expected{-0.4f, -0.8f, -2, 0.8f, 1.6f, 4};
  for (const Device device : test::with_gpu({Device::reference, Device::cpu})) {
    CAPTURE(name(device));
    const Tensor images = Tensor::from(bytes, {1, 1, 2, 3}, device);
    const std::vector<float> values = normalize_images(images, statistics, DType::f32).to_vector<float>();
    REQUIRE(values.size() == expected.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      CHECK(values[i] == doctest::Approx(expected[i]).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace kindred
