#include <kindred/engine/atomic_file.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn_convolution.h>

#include <nlohmann/json.hpp>

#include <fstream>
#include <map>
#include <mutex>

namespace kindred::cudnn {
namespace {

std::mutex mutex;
PlanRules rules;
std::map<ConvolutionKey, std::optional<Plan>> plans;
std::map<std::string, std::string> saved;  // key -> plan, as the file had them

// Far padding so that the output size comes out, whatever the stride leaves over. cuDNN takes none below zero:
// then the last rows are met by no window, and it is told of none.
std::int64_t pad_after(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvolutionKey& key) {
  return std::max<std::int64_t>(0, (out - 1) * key.stride + kernel - in - key.pad);
}

Graph graph_of(const ConvolutionKey& key) {
  Graph graph;
  const bool is_gradient = key.kind == Graph::Kind::backward_data;
  const int x = graph.tensor(key.dtype, {key.n, key.c, key.h, key.w}, is_gradient && key.with_addend);
  const int w = graph.tensor(key.weight_dtype, {key.k, key.c, key.kh, key.kw});
  const int y = graph.tensor(key.dtype, {key.n, key.k, key.out_h, key.out_w});
  graph.convolution(key.kind, x, w, y,
                    {key.stride, key.pad, pad_after(key.h, key.out_h, key.kh, key),
                     pad_after(key.w, key.out_w, key.kw, key)});
  return graph;
}

// Of the GPU and the library that a saved plan is for.
std::string signature() {
  return fmt::format("{}; deterministic {}; tf32 {}", gpu().probe().reason, rules.deterministic, rules.allow_tf32);
}

}  // namespace

std::string ConvolutionKey::to_string() const {
  static constexpr const char* kinds[] = {"forward", "data gradient", "filter gradient"};
  return fmt::format("{} {}{} {}x{}x{}x{} -> {}, {}x{}, stride {}, pad {}{}", kinds[static_cast<std::size_t>(kind)],
                     name(dtype), weight_dtype == dtype ? "" : fmt::format(" to {}", name(weight_dtype)), n, h, w, c, k,
                     kh, kw, stride, pad, with_addend ? ", with an addend" : "");
}

const Plan* plan_for(const ConvolutionKey& key) {
  const std::lock_guard lock(mutex);
  auto found = plans.find(key);
  if (found == plans.end()) {
    std::optional<Plan> plan;
    if (const auto before = saved.find(key.to_string()); before != saved.end()) plan = Plan::from_json(before->second);
    if (!plan) {
      Graph graph = graph_of(key);
      plan = best_plan(graph, rules);
    }
    found = plans.emplace(key, std::move(plan)).first;
  }
  return found->second ? &*found->second : nullptr;
}

void run(const Plan& plan, const std::vector<Plan::Binding>& bindings) {
  const Tensor workspace = Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
  plan.execute(bindings, workspace.raw());
}

void set_rules(const PlanRules& new_rules) {
  const std::lock_guard lock(mutex);
  rules = new_rules;
  plans.clear();
  saved.clear();
}

void save_plans(const std::string& path) {
  nlohmann::json file{{"for", signature()}, {"plans", nlohmann::json::object()}};
  const std::lock_guard lock(mutex);
  for (const auto& [key, plan] : plans)
    if (plan) file["plans"][key.to_string()] = plan->to_json();
  write_file_atomically(path, file.dump(1));
}

void load_plans(const std::string& path) {
  std::ifstream in(path);
  const nlohmann::json file = nlohmann::json::parse(in, nullptr, false);
  if (!file.is_object() || file.value("for", "") != signature() || !file["plans"].is_object()) return;
  const std::lock_guard lock(mutex);
  for (const auto& [key, plan] : file["plans"].items())
    if (plan.is_string()) saved[key] = plan.get<std::string>();
}

}  // namespace kindred::cudnn
