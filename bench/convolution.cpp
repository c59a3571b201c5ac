// The convolutions of ResNets on the CPU in float32: oneDNN's direct and Winograd convolutions beside
// the hand-vectorised ones of layers/conv2d/direct.h and winograd.h, in one run, interleaved. Prints
// nominal GFLOP/s (medians), those of a plain convolution whatever the algorithm saves. It is what
// prefers() was decided by.
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/engine/random/philox.h>
#include <kindred/layers/conv2d/direct.h>
#include <kindred/layers/conv2d/winograd.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <functional>

namespace kindred {
namespace {

using onednn::Algorithm;
using onednn::Pass;

constexpr int repeats = 15;

struct Case {
  int n, size, c, k, kernel, stride;
};

// ResNet-20 at batch 512, ResNet-18 with the cifar stem at 128, the stages of ResNet-50 at 32.
constexpr Case cases[] = {
    {512, 32, 3, 16, 3, 1},   {512, 32, 16, 16, 3, 1}, {512, 32, 16, 32, 3, 2},  {512, 16, 32, 32, 3, 1},
    {512, 16, 32, 64, 3, 2},  {512, 8, 64, 64, 3, 1},  {512, 32, 16, 32, 1, 2},  {512, 16, 32, 64, 1, 2},
    {128, 32, 3, 64, 3, 1},   {128, 32, 64, 64, 3, 1}, {128, 32, 64, 128, 3, 2}, {128, 16, 128, 128, 3, 1},
    {128, 8, 256, 256, 3, 1}, {32, 224, 3, 64, 7, 2},  {32, 56, 64, 64, 3, 1},   {32, 28, 128, 128, 3, 1},
    {32, 14, 256, 256, 3, 1}, {32, 56, 64, 64, 1, 1},  {32, 56, 64, 256, 1, 1},
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

// One of the four, for one pass; a null function where it does not support the shape.
using Contender = std::function<void()>;

Contender onednn_contender(Algorithm algorithm, Pass pass, const Conv2dShape& s, Data& d) {
  const onednn::Convolution key{pass, DType::f32, DType::f32, s.n,   s.h,     s.w,     s.c,      s.k,
                                s.kh, s.kw,       s.stride,   s.pad, s.out_h, s.out_w, algorithm};
  if (algorithm == Algorithm::winograd && !onednn::has_winograd(key)) return {};
  return [=, &d] { onednn::convolution(key, d.x.data(), d.w.data(), d.y.data()); };
}

Contender direct_contender(Pass pass, const Conv2dShape& shape, Data& d) {
  const auto i = [](std::int64_t value) { return static_cast<int>(value); };
  const direct::Shape s{i(shape.n),  i(shape.h),      i(shape.w),   i(shape.c),     i(shape.k),    i(shape.kh),
                        i(shape.kw), i(shape.stride), i(shape.pad), i(shape.out_h), i(shape.out_w)};
  if (!direct::supports(pass, s)) return {};
  if (pass == Pass::forward) return [=, &d] { direct::forward(s, d.x.data(), d.w.data(), d.y.data()); };
  if (pass == Pass::backward_data)
    return [=, &d] { direct::backward_data(s, d.y.data(), d.w.data(), nullptr, d.x.data()); };
  return [=, &d] { direct::backward_weight(s, d.x.data(), d.y.data(), d.w.data()); };
}

Contender winograd_contender(Pass pass, const Conv2dShape& s, Data& d) {
  if (!winograd::supports(s)) return {};
  const Tensor scratch = Tensor::empty({winograd::scratch_floats(pass, s)}, DType::f32, Device::cpu);
  if (pass == Pass::forward)
    return [=, &d] { winograd::forward(s, d.x.data(), d.w.data(), d.y.data(), scratch.data<float>()); };
  if (pass == Pass::backward_data)
    return [=, &d] {
      winograd::backward_data(s, d.y.data(), d.w.data(), nullptr, d.x.data(), scratch.data<float>());
    };
  return [=, &d] { winograd::backward_weight(s, d.x.data(), d.y.data(), d.w.data(), scratch.data<float>()); };
}

void run(const Case& t) {
  const int pad = t.kernel / 2, out = (t.size + 2 * pad - t.kernel) / t.stride + 1;
  const Conv2dShape s{t.n, t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride, pad, out, out};
  Data data{random_floats(s.n * s.h * s.w * s.c), random_floats(s.k * s.kh * s.kw * s.c),
            random_floats(s.n * out * out * s.k)};
  const double gflop = 2e-9 * t.n * out * out * t.k * t.kernel * t.kernel * t.c;
  fmt::print("{:>3}x{:<3} {:>3} -> {:<3} {}x{} /{}", t.size, t.size, t.c, t.k, t.kernel, t.kernel, t.stride);
  for (const auto pass : {Pass::forward, Pass::backward_data, Pass::backward_weight}) {
    const Contender contenders[] = {onednn_contender(Algorithm::direct, pass, s, data),
                                    onednn_contender(Algorithm::winograd, pass, s, data),
                                    direct_contender(pass, s, data), winograd_contender(pass, s, data)};
    std::vector<double> times[4];
    for (int i = 0; i < repeats + 1; ++i)
      for (std::size_t c = 0; c < 4; ++c) {
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
  fmt::print("nominal GFLOP/s: oneDNN direct, oneDNN Winograd, direct.h, winograd.h\n");
  fmt::print("{:22}  | forward                 | data gradient           | filter gradient\n", "");
  for (const Case& each : cases) run(each);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
