// The convolutions of ResNets on the CPU: the hand-vectorised kernels of layers/conv2d/direct.h beside
// oneDNN's, in one run, interleaved. Prints GFLOP/s (medians) and the ratio. It is what direct::prefers() was
// decided by.
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/progress.h>
#include <kindred/engine/philox.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/third_party/onednn.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr int repeats = 15;

struct Case {
  int n, size, c, k, kernel, stride;
};

// ResNet-20 at batch 512, ResNet-18 with the cifar stem at 128, the first stages of ResNet-50 at 32.
constexpr Case cases[] = {
    {512, 32, 3, 16, 3, 1},  {512, 32, 16, 16, 3, 1}, {512, 32, 16, 32, 3, 2},  {512, 16, 32, 32, 3, 1},
    {512, 16, 32, 64, 3, 2}, {512, 8, 64, 64, 3, 1},  {512, 32, 16, 32, 1, 2},  {512, 16, 32, 64, 1, 2},
    {128, 32, 3, 64, 3, 1},  {128, 32, 64, 64, 3, 1}, {128, 32, 64, 128, 3, 2}, {128, 16, 128, 128, 3, 1},
    {32, 224, 3, 64, 7, 2},  {32, 56, 64, 64, 3, 1},  {32, 56, 64, 64, 1, 1},   {32, 56, 64, 256, 1, 1},
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

template <typename Work>
double seconds_of(Work&& work) {
  const double start = now_seconds();
  work();
  return now_seconds() - start;
}

void run(const Case& t) {
  const int pad = t.kernel / 2, out = (t.size + 2 * pad - t.kernel) / t.stride + 1;
  const direct::Shape s{t.n, t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride, pad, out, out};
  auto x = random_floats(std::int64_t{1} * t.n * t.size * t.size * t.c);
  auto w = random_floats(std::int64_t{1} * t.k * t.kernel * t.kernel * t.c);
  auto y = random_floats(std::int64_t{1} * t.n * out * out * t.k);
  const double gflop = 2e-9 * t.n * out * out * t.k * t.kernel * t.kernel * t.c;
  fmt::print("{:>3}x{:<3} {:>3} -> {:<3} {}x{} /{}", t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride);
  for (const auto pass : {onednn::Pass::forward, onednn::Pass::backward_data, onednn::Pass::backward_weight}) {
    const auto direction = static_cast<direct::Direction>(pass);
    const onednn::Convolution key{pass, DType::f32, DType::f32, t.n,      t.size, t.size, t.c,
                                  t.k,  t.kernel,   t.kernel,   t.stride, pad,    out,    out};
    const bool supported = direct::supports(direction, s);
    std::vector<double> theirs, ours;
    for (int i = 0; i < repeats + 1; ++i) {
      const double a = seconds_of([&] {
        if (pass == onednn::Pass::forward) onednn::convolution(key, x.data(), w.data(), y.data());
        if (pass == onednn::Pass::backward_data) onednn::convolution(key, y.data(), w.data(), x.data());
        if (pass == onednn::Pass::backward_weight) onednn::convolution(key, x.data(), y.data(), w.data());
      });
      const double b = seconds_of([&] {
        if (!supported) return;
        if (pass == onednn::Pass::forward) direct::forward(s, x.data(), w.data(), y.data());
        if (pass == onednn::Pass::backward_data)
          direct::backward_data(s, y.data(), w.data(), nullptr, x.data());
        if (pass == onednn::Pass::backward_weight) direct::backward_weight(s, x.data(), y.data(), w.data());
      });
      if (i == 0) continue;  // the first builds the primitive
      theirs.push_back(a);
      ours.push_back(b);
    }
    const double d = gflop / median(theirs), k = gflop / median(ours);
    if (supported)
      fmt::print("  | {:6.1f} {:6.1f} {:5.2f}x{}", d, k, k / d, direct::prefers(direction, s) ? "*" : " ");
    else
      fmt::print("  | {:6.1f}      -      - ", d);
  }
  fmt::print("\n");
  std::fflush(stdout);
}

int bench(int, char**) {
  fmt::print("GFLOP/s of oneDNN and of direct.h, and the ratio; * where direct.h is used\n");
  fmt::print("{:24}  | forward               | data gradient         | filter gradient\n", "");
  for (const Case& each : cases) run(each);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
