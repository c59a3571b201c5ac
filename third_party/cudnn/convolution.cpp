#include <kindred/engine/error.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/third_party/cudnn/convolution.h>
#include <kindred/third_party/timing/gpu_timing.h>

#include <cmath>

namespace kindred::cudnn {

Graph graph_of(const ConvolutionKey& key) {
  Graph graph(key.alignment);
  const ConvShape& s = key.shape;
  const Graph::Dimensions images{s.n, s.c, s.h, s.w};
  const int x = graph.tensor(key.dtype, images);
  const int w = graph.tensor(key.weight_dtype, {s.k, s.c, s.kh, s.kw});
  const int y = graph.tensor(key.dtype, {s.n, s.k, s.out_h, s.out_w});
  // The padding is the same on all sides, because some engines support nothing else. A last row that no window
  // covers does no harm.
  const Window window{s.stride, s.pad};
  if (!key.with_addend) {
    graph.convolution(key.pass, x, w, y, window);
    return graph;
  }
  const int addend = graph.tensor(key.dtype, images);
  const int gradient = graph.tensor(DType::f32, images, true);
  graph.convolution(key.pass, gradient, w, y, window);
  graph.add(gradient, addend, x);
  return graph;
}

namespace {

// The time of a data gradient followed by a separate addition, in milliseconds.
float time_apart(const ConvolutionKey& key, const Plan& plan) {
  const cuda::ScratchMemory memory;
  const std::int64_t elements = key.shape.x_elements();
  const Tensor gradient = memory.random(elements, key.dtype), addend = memory.random(elements, key.dtype),
               sum = memory.random(elements, key.dtype), dy = memory.random(key.shape.y_elements(), key.dtype),
               w = memory.random(key.shape.filter_elements(), key.weight_dtype);
  const auto both = [&] {
    run(plan, {{0, gradient.raw()}, {1, w.raw()}, {2, dy.raw()}});
    add(gradient, addend, Output(sum));
  };
  both();
  return cuda::time_on_gpu(both);
}

// The plan of a data gradient with an addend, if it is faster than the two operations separately. Engines that
// add are general ones, and not the fastest at convolutions.
std::optional<Plan> find_sum(const ConvolutionKey& key, const std::string& name) {
  if (key.shape.x_elements() < worth_compiling) return {};
  ConvolutionKey bare = key;
  bare.with_addend = false;
  const Plan* apart = plan_for(bare);
  std::optional<Plan> whole;
  const auto find_whole = [&] {
    if (!whole) whole = find_plan(name, [&key] { return graph_of(key); });
    return whole.has_value();
  };
  const auto time_whole = [&] {
    return find_whole() ? time_of(graph_of(key), *whole).value_or(HUGE_VALF) : HUGE_VALF;
  };
  if (apart != nullptr &&
      !plan_wins(name + ": in one or apart", time_whole, [&] { return time_apart(bare, *apart); }))
    return {};
  find_whole();
  return whole;
}

}  // namespace

std::string ConvolutionKey::to_string() const {
  static constexpr const char* passes[] = {"forward", "data gradient", "filter gradient"};
  const ConvShape& s = shape;
  return fmt::format("{} {}{} {}x{}x{}x{} -> {}, {}x{}, stride {}, pad {}{}{}",
                     passes[static_cast<std::size_t>(pass)], name(dtype),
                     weight_dtype == dtype ? "" : fmt::format(" to {}", name(weight_dtype)), s.n, s.h, s.w, s.c,
                     s.k, s.kh, s.kw, s.stride, s.pad, with_addend ? ", with an addend" : "",
                     alignment == 16 ? "" : fmt::format(", alignment {}", alignment));
}

const Plan* plan_for(const ConvolutionKey& key) {
  static auto& plans = *new ShapeTable<ConvolutionKey, std::optional<Plan>>;  // leaked: cuDNN may end first
  const std::optional<Plan>& plan = plans.at(key, [&key] {
    const std::string name = book_name(key.to_string());
    return key.with_addend ? find_sum(key, name) : find_plan(name, [&key] { return graph_of(key); });
  });
  return plan ? &*plan : nullptr;
}

}  // namespace kindred::cudnn
