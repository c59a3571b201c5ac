// The convolutions of ResNets on the CPU in float32: oneDNN's direct and Winograd convolutions, and our own
// of layers/conv2d (direct.h, winograd.h and pixel_products.h), interleaved in one run. Prints medians of
// nominal GFLOP/s, which count the operations of a plain convolution, whatever the algorithm saves. prefers()
// follows these figures.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/main.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/scratch_kernels.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <functional>
#include <iterator>

namespace kindred {
namespace {

using onednn::Algorithm;

constexpr int repeats = 15;

struct Case {
  int n, size, c, k, kernel, stride;
};

// ResNet-20 at batch 512, ResNet-18 with the cifar stem at 128, the stages of ResNet-50 at 32, and the last ones of ResNet-18
// at 64, at batch 128 and 64.
constexpr Case cases[] = {
    {512, 32, 3, 16, 3, 1},   {512, 32, 16, 16, 3, 1},   {512, 32, 16, 32, 3, 2},  {512, 16, 32, 32, 3, 1},
    {512, 16, 32, 64, 3, 2},  {512, 8, 64, 64, 3, 1},    {512, 32, 16, 32, 1, 2},  {512, 16, 32, 64, 1, 2},
    {128, 32, 3, 64, 3, 1},   {128, 32, 64, 64, 3, 1},   {128, 32, 64, 128, 3, 2}, {128, 16, 128, 128, 3, 1},
    {128, 8, 256, 256, 3, 1}, {32, 224, 3, 64, 7, 2},    {32, 56, 64, 64, 3, 1},   {32, 28, 128, 128, 3, 1},
    {32, 14, 256, 256, 3, 1}, {32, 56, 64, 64, 1, 1},    {32, 56, 64, 256, 1, 1},  {128, 4, 256, 256, 3, 1},
    {128, 4, 256, 512, 3, 2}, {128, 2, 512, 512, 3, 1},  {64, 2, 512, 512, 3, 1},  {64, 4, 256, 256, 3, 1},
    {64, 4, 256, 512, 3, 2},  {64, 8, 128, 256, 3, 2},   {64, 3, 512, 512, 3, 1},  {64, 1, 512, 512, 3, 1},
    {32, 7, 512, 512, 3, 1},  {128, 16, 128, 256, 3, 2}, {128, 8, 256, 512, 3, 2}, {128, 4, 512, 512, 3, 1},
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

std::vector<float> random_floats(std::int64_t count) {
  RandomStream random(3, Purpose::test);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = random.uniform(-1, 1);
  return values;
}

struct Data {
  std::vector<float> x, w, y;
};

// One of the algorithms, for one pass; null if it does not support the shape.
using Contender = std::function<void()>;

Contender onednn_contender(Algorithm algorithm, ConvPass pass, const ConvShape& s, Data& d) {
  const onednn::Convolution key{pass, DType::f32, DType::f32, s, algorithm};
  if (algorithm == Algorithm::winograd && !onednn::has_winograd(key)) return {};
  return [=, &d] { onednn::convolution(key, d.x.data(), d.w.data(), d.y.data()); };
}

Contender direct_contender(ConvPass pass, const ConvShape& s, Data& d) {
  if (!direct::supports(pass, s)) return {};
  if (pass == ConvPass::forward) return [=, &d] { direct::forward(s, d.x.data(), d.w.data(), d.y.data()); };
  if (pass == ConvPass::backward_data)
    return [=, &d] { direct::backward_data(s, d.y.data(), d.w.data(), nullptr, d.x.data()); };
  return [=, &d] { direct::backward_weight(s, d.x.data(), d.y.data(), d.w.data()); };
}

Contender scratch_contender(const ScratchKernels& kernels, ConvPass pass, const ConvShape& s, Data& d) {
  if (!kernels.supports(s)) return {};
  const Tensor scratch = Tensor::empty({kernels.scratch_floats(pass, s)}, DType::f32, Device::cpu);
  if (pass == ConvPass::forward)
    return [=, &d] { kernels.forward(s, d.x.data(), d.w.data(), d.y.data(), scratch.data<float>()); };
  if (pass == ConvPass::backward_data)
    return [=, &d] {
      kernels.backward_data(s, d.y.data(), d.w.data(), nullptr, d.x.data(), scratch.data<float>());
    };
  return [=, &d] { kernels.backward_weight(s, d.x.data(), d.y.data(), d.w.data(), scratch.data<float>()); };
}

void run(const Case& t) {
  const int pad = t.kernel / 2, out = (t.size + 2 * pad - t.kernel) / t.stride + 1;
  const ConvShape s{t.n, t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride, pad, out, out};
  Data data{random_floats(s.x_elements()), random_floats(s.filter_elements()), random_floats(s.y_elements())};
  const double gflop = 2e-9 * t.n * out * out * t.k * t.kernel * t.kernel * t.c;
  fmt::print("{:>3}x{:<3} {:>3} -> {:<3} {}x{} /{}", t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride);
  for (const auto pass : {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight}) {
    const Contender contenders[] = {onednn_contender(Algorithm::direct, pass, s, data),
                                    onednn_contender(Algorithm::winograd, pass, s, data),
                                    direct_contender(pass, s, data),
                                    scratch_contender(winograd_kernels, pass, s, data),
                                    scratch_contender(pixel_product_kernels, pass, s, data)};
    std::vector<double> times[std::size(contenders)];
    for (int i = 0; i < repeats + 1; ++i)
      for (std::size_t c = 0; c < std::size(contenders); ++c) {
        if (!contenders[c]) continue;
        const double start = now_seconds();
        contenders[c]();
        if (i > 0) times[c].push_back(now_seconds() - start);  // the first builds the primitive
      }
    fmt::print("  |");
    for (const auto& each : times)
      if (each.empty())
        fmt::print("     -");
      else
        fmt::print(" {:5.0f}", gflop / median(each));
  }
  fmt::print("\n");
  std::fflush(stdout);
}

int bench(int, char**) {
  fmt::print("nominal GFLOP/s: oneDNN direct, oneDNN Winograd, direct.h, winograd.h, pixel_products.h\n");
  fmt::print("{:22}  | forward                       | data gradient                 | filter gradient\n", "");
  for (const Case& each : cases) run(each);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
