// A graph of cuDNN operations, and the fastest plan that runs it.
//
//   Graph graph;
//   const int x = graph.tensor(DType::bf16, {n, c, h, w}), ...;
//   graph.convolution(Graph::Kind::forward, x, w, y, {.stride = 1, .pad = 1});
//   std::optional<ChosenPlan> best = best_plan(graph, rules);
//   best->plan.execute({{x, x_data}, {w, w_data}, {y, y_data}}, workspace);
//
// Images are NHWC and filters KRSC in memory; cuDNN's dimensions are named in the order [n, c, h, w].
#pragma once

#include <kindred/engine/dtype.h>
#include <kindred/engine/plan_book.h>
#include <kindred/third_party/cudnn_library.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred::cudnn {

struct Window {
  std::int64_t stride = 1;
  std::int64_t pad = 0;  // on each side
};

class Graph {
 public:
  enum class Kind { forward, backward_data, backward_weight };
  using Dimensions = std::array<std::int64_t, 4>;  // n, c, h, w; of filters k, c, kh, kw

  // The number by which operations and plans know the tensor. A virtual one never reaches memory; it is f32.
  int tensor(DType dtype, const Dimensions& dimensions, bool is_virtual = false);

  // The letters are the gradients in the backward kinds; the result is y, x or w.
  void convolution(Kind kind, int x, int w, int y, const Window& window);
  void add(int a, int b, int sum);

  struct TensorInfo {
    DType dtype;
    Dimensions dimensions;
    bool is_virtual;
    std::size_t bytes() const;
  };
  const std::vector<TensorInfo>& tensors() const { return infos_; }

  // The descriptor of the whole; nothing may be added afterwards. False where cuDNN rejects the graph.
  bool finalize();
  const Descriptor& descriptor() const { return *graph_; }

 private:
  std::vector<TensorInfo> infos_;
  std::vector<Descriptor> tensors_, parts_, operations_;
  std::optional<Descriptor> graph_;
};

struct ChosenPlan;

class Plan {
 public:
  using Binding = std::pair<int, const void*>;  // a tensor of the graph and where it is

  explicit Plan(Descriptor plan);
  std::size_t workspace() const { return workspace_; }
  // Starts the work and does not wait. `workspace` holds workspace() bytes.
  void execute(const std::vector<Binding>& bindings, void* workspace) const;

 private:
  friend std::optional<ChosenPlan> best_plan(Graph&, const PlanRules&);
  friend std::optional<Plan> plan_from(Graph&, const std::string&, const PlanRules&);
  bool try_execute(const std::vector<Binding>& bindings, void* workspace) const;

  Descriptor plan_;
  std::size_t workspace_ = 0;
};

struct ChosenPlan {
  Plan plan;
  std::string choice;  // engine and knobs, as text: "12 3=1 7=0"
};

// The fastest of the plans that cuDNN offers, by timing each on scratch memory of random numbers; nothing where
// no engine supports the graph. Waits for the GPU; not to be called while a step is recorded.
std::optional<ChosenPlan> best_plan(Graph& graph, const PlanRules& rules);

// The plan of an earlier choice. Nothing where the text is none, or names an engine that cannot run this graph
// or breaks the rules: it may come from a file that anybody wrote. It can only choose among cuDNN's engines for
// the graph that is at hand, so the worst that it can do is to choose a slow one.
std::optional<Plan> plan_from(Graph& graph, const std::string& choice, const PlanRules& rules);

}  // namespace kindred::cudnn
