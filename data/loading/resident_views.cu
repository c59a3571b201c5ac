// One block for each view. The view stays in shared memory from the resize to the last operation.
#include <kindred/data/images/pixel_math.h>
#include <kindred/data/images/resample_math.h>
#include <kindred/data/loading/resident_views.h>
#include <kindred/engine/cuda/launch.h>

namespace kindred {
namespace {

constexpr int threads = 256;

// For each output coordinate: which pixels of the picture contribute, and with which weights.
struct Axis {
  int first[largest_resident_view], count[largest_resident_view];
  float weights[largest_resident_view][most_resident_taps];

  // Each thread computes some of the outputs.
  __device__ void compute(int in, int out, int start, int size) {
    for (int i = static_cast<int>(threadIdx.x); i < size; i += threads) {
      const Triangle triangle(in, out, start + i);
      const int width = triangle.high - triangle.low,
                taps = width < most_resident_taps ? width : most_resident_taps;
      first[i] = triangle.low;
      count[i] = taps;
      double sum = 0;
      for (int t = 0; t < taps; ++t) {
        const double weight = triangle.weight(triangle.low + t);
        sum += weight;
        weights[i][t] = static_cast<float>(weight);
      }
      const auto norm = static_cast<float>(1.0 / sum);
      for (int t = 0; t < taps; ++t) weights[i][t] *= norm;
    }
  }
};

// One channel of one pixel of the view: first rows, then columns, as in resize_region.
__device__ std::uint8_t resized(const std::uint8_t* corner, int width, const Axis& rows, const Axis& columns,
                                int y, int x, int channel) {
  float sum = 0.5f;  // so that the truncation below rounds
  for (int j = 0; j < columns.count[x]; ++j) {
    float column = 0;
    for (int i = 0; i < rows.count[y]; ++i) {
      const int at = ((rows.first[y] + i) * width + columns.first[x] + j) * 3 + channel;
      column += rows.weights[y][i] * static_cast<float>(corner[at]);
    }
    sum += columns.weights[x][j] * column;
  }
  return static_cast<std::uint8_t>(static_cast<int>(std::min(sum, 255.0f)));
}

// The rounded mean gray of the view. All threads get it.
__device__ int mean_gray(const PixelColor* pixels, int count) {
  int sum = 0;  // at most 64 x 64 x 255
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads)
    sum += gray_of(pixels[i].red, pixels[i].green, pixels[i].blue);
  // Integers below 2^24 are exact in float, in any order of summation.
  const auto total = static_cast<double>(cuda::block_sum<threads>(static_cast<float>(sum)));
  return static_cast<int>(total / static_cast<double>(count) + 0.5);
}

__device__ PixelColor changed(PixelColor pixel, std::int32_t operation, float value, int mean) {
  const int gray = gray_of(pixel.red, pixel.green, pixel.blue);
  switch (operation) {
    case ResidentView::brightness:
      return {clip(value * static_cast<float>(pixel.red)), clip(value * static_cast<float>(pixel.green)),
              clip(value * static_cast<float>(pixel.blue))};
    case ResidentView::contrast:
      return {blend(mean, pixel.red, value), blend(mean, pixel.green, value), blend(mean, pixel.blue, value)};
    case ResidentView::saturation:
      return {blend(gray, pixel.red, value), blend(gray, pixel.green, value), blend(gray, pixel.blue, value)};
    case ResidentView::hue:
      return shift_hue(pixel, hue_steps(value));
    default: {
      const auto level = static_cast<std::uint8_t>(gray);
      return {level, level, level};
    }
  }
}

__global__ void make_kernel(const std::uint8_t* pictures, int height, int width, const ResidentView* views,
                            int size, std::uint8_t* out) {
  __shared__ PixelColor pixels[largest_resident_view * largest_resident_view];
  __shared__ Axis rows, columns;
  const ResidentView view = views[blockIdx.x];
  const int count = size * size;
  rows.compute(view.crop_height, view.resized_height, view.top, size);
  columns.compute(view.crop_width, view.resized_width, view.left, size);
  __syncthreads();
  const std::uint8_t* corner =
      pictures + ((std::int64_t{view.picture} * height + view.crop_top) * width + view.crop_left) * 3;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads) {
    const int y = i / size, x = i % size;
    pixels[y * size + (view.flip != 0 ? size - 1 - x : x)] = {resized(corner, width, rows, columns, y, x, 0),
                                                              resized(corner, width, rows, columns, y, x, 1),
                                                              resized(corner, width, rows, columns, y, x, 2)};
  }
  for (int o = 0; o < view.count; ++o) {
    __syncthreads();
    const int mean = view.operations[o] == ResidentView::contrast ? mean_gray(pixels, count) : 0;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += threads)
      pixels[i] = changed(pixels[i], view.operations[o], view.values[o], mean);
  }
  __syncthreads();
  std::uint8_t* to = out + std::int64_t{blockIdx.x} * count * 3;
  const auto* from = reinterpret_cast<const std::uint8_t*>(pixels);
  for (int i = static_cast<int>(threadIdx.x); i < 3 * count; i += threads) to[i] = from[i];
}

void make(const Tensor& pictures, const Tensor& views, Output out) {
  check(fits_resident_views(static_cast<int>(pictures.dim(1)), static_cast<int>(pictures.dim(2)),
                            static_cast<int>(out.dim(1))) &&
            out.dim(0) * static_cast<std::int64_t>(sizeof(ResidentView)) == views.numel(),
        ExitCode::internal, "views of {} bytes for {} from pictures of {}", views.numel(), out.shape(),
        pictures.shape());
  if (out.dim(0) == 0) return;
  cuda::launch(make_kernel, cuda::blocks_for(out.dim(0), 1), threads, pictures.data<std::uint8_t>(),
               static_cast<int>(pictures.dim(1)), static_cast<int>(pictures.dim(2)),
               reinterpret_cast<const ResidentView*>(views.data<std::uint8_t>()), static_cast<int>(out.dim(1)),
               out.data<std::uint8_t>());
}

const ResidentViewKernels kernels = {make};

}  // namespace

const ResidentViewKernels* const resident_views_cuda = &kernels;

}  // namespace kindred
