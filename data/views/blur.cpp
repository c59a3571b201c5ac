#include <kindred/data/views/blur.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace kindred {
namespace {

// Half of the kernel, from the centre outwards. The outermost weights are omitted if together they cannot
// change a byte by a tenth. This makes a small sigma cheap.
void half_kernel(int kernel, float sigma, std::vector<float>& weights) {
  const int radius = kernel / 2;
  double sum = 0;
  for (int x = -radius; x <= radius; ++x) sum += std::exp(-0.5 * x * x / (double(sigma) * sigma));
  weights.clear();
  for (int x = 0; x <= radius; ++x) {
    const double weight = std::exp(-0.5 * x * x / (double(sigma) * sigma)) / sum;
    if (x > 0 && weight < 1e-5) break;
    weights.push_back(static_cast<float>(weight));
  }
}

// Mirrors a coordinate into [0, size): -1 becomes 1, size becomes size - 2. It must be outside by less than
// size.
inline int mirrored(int x, int size) {
  x = std::abs(x);
  return x < size ? x : 2 * (size - 1) - x;
}

void blur_row(const std::uint8_t* in, int size, const std::vector<float>& weights, float* padded, float* out) {
  const int radius = static_cast<int>(weights.size()) - 1;
  float* middle = padded + radius;
  for (int x = 0; x < size; ++x) middle[x] = float(in[x]);
  for (int x = 1; x <= radius; ++x) {
    middle[-x] = float(in[mirrored(-x, size)]);
    middle[size - 1 + x] = float(in[mirrored(size - 1 + x, size)]);
  }
  for (int x = 0; x < size; ++x) out[x] = weights[0] * middle[x];
  for (int t = 1; t <= radius; ++t) {
    const float w = weights[std::size_t(t)];
    const float *before = middle - t, *after = middle + t;
    for (int x = 0; x < size; ++x) out[x] += w * (before[x] + after[x]);
  }
}

}  // namespace

void gaussian_blur(Planes& view, int kernel, float sigma, BlurScratch& scratch) {
  const int size = view.size;
  half_kernel(kernel, sigma, scratch.weights);
  const int radius = static_cast<int>(scratch.weights.size()) - 1;
  if (radius == 0) return;
  scratch.padded.resize(std::size_t(size + 2 * radius));
  scratch.blurred.resize(view.pixels());
  scratch.sum.resize(std::size_t(size));
  float* sum = scratch.sum.data();
  const auto blurred_row = [&](int y) { return scratch.blurred.data() + std::size_t(y) * std::size_t(size); };

  for (int channel = 0; channel < 3; ++channel) {
    std::uint8_t* plane = view.plane(channel);
    for (int y = 0; y < size; ++y) {
      blur_row(plane + std::size_t(y) * std::size_t(size), size, scratch.weights, scratch.padded.data(),
               blurred_row(y));
    }
    for (int y = 0; y < size; ++y) {
      const float* middle = blurred_row(y);
      for (int x = 0; x < size; ++x) sum[x] = 0.5f + scratch.weights[0] * middle[x];
      for (int t = 1; t <= radius; ++t) {
        const float w = scratch.weights[std::size_t(t)];
        const float *above = blurred_row(mirrored(y - t, size)), *below = blurred_row(mirrored(y + t, size));
        for (int x = 0; x < size; ++x) sum[x] += w * (above[x] + below[x]);
      }
      std::uint8_t* out = plane + std::size_t(y) * std::size_t(size);
      for (int x = 0; x < size; ++x)
        out[x] = static_cast<std::uint8_t>(static_cast<int>(std::min(sum[x], 255.0f)));
    }
  }
}

}  // namespace kindred
