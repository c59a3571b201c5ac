// Which of a convolution's neighbours cuDNN can take into it on an H200, asked by a description of one: nothing runs,
// and no GPU is needed. A line for each pattern, type and shape of ResNet-50 at 224: the engines that cuDNN offers once
// it has looked whether they support the graph, and of the first whose plan can be made its workspace and the seconds
// that this took.
//
// Engines that are compiled for a graph ask for the driver, libcuda.so.1, and without one cuDNN offers none of them. So the
// tests' stand-in for it is linked, and graphs that are known to have plans are asked for first.
//
// From the root of the source tree, with build/release and its tests built (LD_LIBRARY_PATH: the folder of libcudnn.so.9):
//   g++ -std=c++20 -O1 -fopenmp -Ibuild/release/include -I/usr/local/cuda/include bench/hopper/ask_cudnn.cpp -o build/ask_cudnn
//     build/release/libkindred.a -Wl,--no-as-needed build/release/tests/libcuda.so.1 -Wl,-rpath,$PWD/build/release/tests
//     -L/usr/local/cuda/lib -lcudart_static -lfmt -lxxhash -ldl -lrt   (all one line)
//   build/ask_cudnn [VIEWS [PART_OF_A_PATTERN]] > plans.md
#include <kindred/bench/hopper/asked_graph.h>
#include <kindred/engine/error.h>
#include <kindred/tests/cudnn/h200.h>
#include <kindred/third_party/cudnn/library.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace kindred::cudnn {
namespace {

// The first has its three colours padded to 8, as layers/conv2d/cuda.cu pads them.
constexpr Layer layers[] = {
    {224, 8, 64, 7, 2, 1},   {56, 64, 64, 1, 1, 1},    {56, 64, 256, 1, 1, 4},   {56, 256, 64, 1, 1, 2},
    {56, 64, 64, 3, 1, 3},   {56, 256, 128, 1, 1, 1},  {56, 128, 128, 3, 2, 1},  {56, 256, 512, 1, 2, 1},
    {28, 128, 512, 1, 1, 4}, {28, 512, 128, 1, 1, 3},  {28, 128, 128, 3, 1, 3},  {28, 512, 256, 1, 1, 1},
    {28, 256, 256, 3, 2, 1}, {28, 512, 1024, 1, 2, 1}, {14, 256, 1024, 1, 1, 6}, {14, 1024, 256, 1, 1, 5},
    {14, 256, 256, 3, 1, 5}, {14, 1024, 512, 1, 1, 1}, {14, 512, 512, 3, 2, 1},  {14, 1024, 2048, 1, 2, 1},
    {7, 512, 2048, 1, 1, 3}, {7, 2048, 512, 1, 1, 2},  {7, 512, 512, 3, 1, 2},
};

struct Shapes {
  Dimensions x, w, y;
  Shapes(std::int64_t views, const Layer& l)
      : x{views, l.c, l.size, l.size}, w{l.k, l.c, l.window, l.window}, y{views, l.k, l.out(), l.out()} {}
};

// relu(x * scale + bias), which is never written.
int activated(Asked& asked, int x, const Dimensions& d) {
  const int scaled = asked.image(d, true), shifted = asked.image(d, true), positive = asked.image(d, true);
  asked.pointwise(CUDNN_POINTWISE_MUL, x, asked.channels_of_type(d[1]), scaled);
  asked.pointwise(CUDNN_POINTWISE_ADD, scaled, asked.channels_of_type(d[1]), shifted);
  asked.pointwise(CUDNN_POINTWISE_RELU_FWD, shifted, -1, positive);
  return positive;
}

using Make = void (*)(Asked& asked, const Shapes& s, const Layer& l);
struct Pattern {
  const char* name;
  Make make;
};

const Pattern patterns[] = {
    {"forward alone",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y);
       a.convolution(true, x, w, y, l);
     }},
    {"forward, ReLU",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y, true);
       a.convolution(true, x, w, y, l);
       a.pointwise(CUDNN_POINTWISE_RELU_FWD, y, -1, a.image(s.y));
     }},
    {"forward, statistics",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y);
       a.convolution(true, x, w, y, l);
       a.statistics(y, a.channels(l.k), a.channels(l.k));
     }},
    {"forward, one sum",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y);
       a.convolution(true, x, w, y, l);
       a.sum_of_channels(y, a.channels(l.k));
     }},
    {"normalise + ReLU, forward",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y);
       a.convolution(true, activated(a, x, s.x), w, y, l);
     }},
    {"normalise + ReLU, forward, statistics",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int x = a.image(s.x), w = a.image(s.w), y = a.image(s.y);
       a.convolution(true, activated(a, x, s.x), w, y, l);
       a.statistics(y, a.channels(l.k), a.channels(l.k));
     }},
    {"data gradient alone",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int dx = a.image(s.x), w = a.image(s.w), dy = a.image(s.y);
       a.convolution(false, dx, w, dy, l);
     }},
    {"data gradient, an addition",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int w = a.image(s.w), dy = a.image(s.y), addend = a.image(s.x), dx = a.image(s.x, true);
       a.convolution(false, dx, w, dy, l);
       a.pointwise(CUDNN_POINTWISE_ADD, dx, addend, a.image(s.x));
     }},
    {"data gradient, ReLU's",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int w = a.image(s.w), dy = a.image(s.y), of_relu = a.image(s.x), dx = a.image(s.x, true);
       a.convolution(false, dx, w, dy, l);
       a.pointwise(CUDNN_POINTWISE_RELU_BWD, dx, of_relu, a.image(s.x));
     }},
    {"data gradient, mask of bits",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int w = a.image(s.w), dy = a.image(s.y), dx = a.image(s.x, true);
       a.convolution(false, dx, w, dy, l);
       a.pointwise(CUDNN_POINTWISE_MUL, dx, a.bits(s.x), a.image(s.x));
     }},
    {"data gradient, ReLU's, one sum",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int w = a.image(s.w), dy = a.image(s.y), of_relu = a.image(s.x), dx = a.image(s.x, true),
                 dz = a.image(s.x);
       a.convolution(false, dx, w, dy, l);
       a.pointwise(CUDNN_POINTWISE_RELU_BWD, dx, of_relu, dz);
       a.sum_of_channels(dz, a.channels(l.c));
     }},
    {"data gradient, ReLU's, both sums",
     [](Asked& a, const Shapes& s, const Layer& l) {
       const int w = a.image(s.w), dy = a.image(s.y), x = a.image(s.x), dx = a.image(s.x, true),
                 dz = a.image(s.x);
       a.convolution(false, dx, w, dy, l);
       a.pointwise(CUDNN_POINTWISE_RELU_BWD, dx, a.normalized(x, s.x), dz);
       a.gradients_of_norm(x, dz, l.c);
     }},
};

// -- printing

std::string shape_text(const Layer& l) {
  return fmt::format("{0}x{0}x{1} to {2}, {3}x{3}{4}", l.size, l.c, l.k, l.window,
                     l.stride > 1 ? fmt::format(", stride {}", l.stride) : "");
}

std::string engines_text(const Asked::Answer& answer) {
  std::string text;
  for (const std::int64_t engine : answer.engines)
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", engine, engine == answer.first ? "*" : "");
  return text;
}

// A "none" means nothing if cuDNN would offer nothing at all: these have plans wherever its engines can be opened.
void check_controls(std::int64_t views) {
  for (const char* known : {"forward alone", "forward, ReLU", "data gradient, an addition"})
    for (const Pattern& pattern : patterns) {
      if (std::strcmp(pattern.name, known) != 0) continue;
      Asked asked(CUDNN_DATA_BFLOAT16);
      pattern.make(asked, Shapes(views, layers[15]), layers[15]);
      const Asked::Answer answer = asked.ask();
      check(answer.first >= 0, ExitCode::device,
            "cuDNN has no plan for \"{}\", which it is known to have ({}): is libcuda.so.1 or NVRTC missing? "
            "CUDNN_LOGLEVEL_DBG=3 shows why",
            known, answer.refusal);
    }
}

int run(int argc, char** argv) {
  std::int64_t views = 256;
  if (argc > 1) views = std::strtoll(argv[1], nullptr, 10);
  const std::string only = argc > 2 ? argv[2] : "";
  check(
      views >= 1 && views <= 65536 && argc <= 3, ExitCode::usage,
      "ask_cudnn [VIEWS [PATTERN]]: views are 1 to 65,536 (256 without one), a pattern is a part of its name");
  check(describe_gpu(test::h200), ExitCode::device, "cuDNN takes no description of a GPU: 9.8 is needed ({})",
        where());
  check_controls(views);
  std::printf("%s, for an H200 that is described; %lld views\n\n", where().c_str(),
              static_cast<long long>(views));
  std::printf(
      "| pattern | type | shape | in ResNet-50 | engines (* first) | workspace, MB | made in, s |\n"
      "|---|---|---|---|---|---|---|\n");
  std::map<std::string, std::pair<int, int>> plans;  // by pattern and type: convolutions with one, and all
  for (const Pattern& pattern : patterns) {
    if (std::strstr(pattern.name, only.c_str()) == nullptr) continue;
    for (const auto& [type, type_name] : {std::pair{CUDNN_DATA_BFLOAT16, "bf16"}, {CUDNN_DATA_HALF, "f16"}}) {
      auto& [with, all] = plans[fmt::format("{} | {}", pattern.name, type_name)];
      for (const Layer& layer : layers) {
        const bool is_stem = layer.c == 8;
        // Images have no gradient, and nothing normalises them.
        if (is_stem && std::strncmp(pattern.name, "forward", 7) != 0) continue;
        Asked asked(type);
        pattern.make(asked, Shapes(views, layer), layer);
        const Asked::Answer answer = asked.ask();
        all += layer.times;
        if (answer.first >= 0) with += layer.times;
        if (answer.first < 0)
          std::printf("| %s | %s | %s | %d | none: %s | | |\n", pattern.name, type_name,
                      shape_text(layer).c_str(), layer.times, answer.refusal.c_str());
        else
          std::printf("| %s | %s | %s | %d | %s%s | %.1f | %.2f |\n", pattern.name, type_name,
                      shape_text(layer).c_str(), layer.times, engines_text(answer).c_str(),
                      answer.compiled ? " (compiled)" : "", static_cast<double>(answer.workspace) / 1e6,
                      answer.seconds);
        std::fflush(stdout);
      }
    }
  }
  std::printf("\n| pattern | type | convolutions of ResNet-50 with a plan |\n|---|---|---|\n");
  for (const Pattern& pattern : patterns)
    for (const char* type : {"bf16", "f16"})
      if (const auto found = plans.find(fmt::format("{} | {}", pattern.name, type)); found != plans.end())
        std::printf("| %s | %s | %d of %d |\n", pattern.name, type, found->second.first, found->second.second);
  return 0;
}

}  // namespace
}  // namespace kindred::cudnn

int main(int argc, char** argv) {
  try {
    return kindred::cudnn::run(argc, argv);
  } catch (const kindred::Error& error) {
    std::fprintf(stderr, "ask_cudnn: error: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
