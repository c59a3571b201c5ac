#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn_convolution.h>

#include <map>
#include <mutex>

namespace kindred::cudnn {
namespace {

Graph graph_of(const ConvolutionKey& key) {
  Graph graph;
  const Graph::Dimensions images{key.n, key.c, key.h, key.w};
  const int x = graph.tensor(key.dtype, images);
  const int w = graph.tensor(key.weight_dtype, {key.k, key.c, key.kh, key.kw});
  const int y = graph.tensor(key.dtype, {key.n, key.k, key.out_h, key.out_w});
  // The same padding on all sides: some engines know no other, and a last row that no window meets is no
  // matter.
  const Window window{key.stride, key.pad};
  if (!key.with_addend) {
    graph.convolution(key.kind, x, w, y, window);
    return graph;
  }
  const int addend = graph.tensor(key.dtype, images);
  const int gradient = graph.tensor(key.dtype, images, true);
  graph.convolution(key.kind, gradient, w, y, window);
  graph.add(gradient, addend, x);
  return graph;
}

std::optional<Plan> find_plan(const ConvolutionKey& key) {
  const PlanRules rules = plan_book().rules();
  const std::string name = fmt::format("cuDNN {}: {}", library().version(), key.to_string());
  if (const auto saved = plan_book().find(name)) {
    Graph graph = graph_of(key);
    if (std::optional<Plan> plan = plan_from(graph, *saved, rules)) return plan;
  }
  Graph graph = graph_of(key);
  std::optional<ChosenPlan> best = best_plan(graph, rules);
  if (!best) return {};
  plan_book().remember(name, best->choice);
  return std::move(best->plan);
}

}  // namespace

std::string ConvolutionKey::to_string() const {
  static constexpr const char* kinds[] = {"forward", "data gradient", "filter gradient"};
  return fmt::format("{} {}{} {}x{}x{}x{} -> {}, {}x{}, stride {}, pad {}{}",
                     kinds[static_cast<std::size_t>(kind)], name(dtype),
                     weight_dtype == dtype ? "" : fmt::format(" to {}", name(weight_dtype)), n, h, w, c, k, kh,
                     kw, stride, pad, with_addend ? ", with an addend" : "");
}

const Plan* plan_for(const ConvolutionKey& key) {
  static std::mutex mutex;
  static std::map<ConvolutionKey, std::optional<Plan>> plans;
  static std::uint64_t edition = 0;
  const std::lock_guard lock(mutex);
  if (edition != plan_book().edition()) plans.clear();
  edition = plan_book().edition();
  auto found = plans.find(key);
  if (found == plans.end()) found = plans.emplace(key, find_plan(key)).first;
  return found->second ? &*found->second : nullptr;
}

void run(const Plan& plan, const std::vector<Plan::Binding>& bindings) {
  const Tensor workspace =
      Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
  plan.execute(bindings, workspace.raw());
}

}  // namespace kindred::cudnn
