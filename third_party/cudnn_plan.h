// Plans that run a graph of cuDNN operations, and the fastest of them.
//
//   std::optional<ChosenPlan> best = best_plan(graph, rules);
//   best->plan.execute({{x, x_data}, {w, w_data}, {y, y_data}}, workspace);
#pragma once

#include <kindred/engine/plan_book.h>
#include <kindred/third_party/cudnn_graph.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred::cudnn {

class Plan {
 public:
  using Binding = std::pair<int, const void*>;  // a tensor of the graph and where it is

  Plan(Descriptor plan, bool is_compiled);
  std::size_t workspace() const { return workspace_; }
  // Whether its kernels were compiled for the graph, which takes a second or two.
  bool is_compiled() const { return is_compiled_; }
  // The plan with its kernels, for plan_from_code(); nothing where cuDNN does not give it.
  std::optional<std::string> code() const;

  // Starts the work and does not wait. `workspace` holds workspace() bytes.
  void execute(const std::vector<Binding>& bindings, void* workspace) const;
  bool try_execute(const std::vector<Binding>& bindings, void* workspace) const;

 private:
  cudnnStatus_t start(const std::vector<Binding>& bindings, void* workspace) const;

  Descriptor plan_;
  bool is_compiled_;
  std::size_t workspace_ = 0;
};

struct ChosenPlan {
  Plan plan;
  std::string choice;  // engine and knobs, as text: "12 3=1 7=0"
  bool timed = false;  // and not just cuDNN's best guess
};

// The plans that cuDNN offers and the rules allow, its best guess first. The fallback's engines are slow ones,
// for graphs that its usual heuristic knows no engine for. Empty where there are none.
enum class Offer : std::uint8_t { usual, fallback };
std::vector<ChosenPlan> offered_plans(Graph& graph, const PlanRules& rules, Offer offer);

// Milliseconds on scratch memory of random numbers, or nothing where the plan does not run; OutOfMemory where
// there is no room to try. Waits for the GPU; not to be called while a step is recorded.
std::optional<float> time_of(const Graph& graph, const Plan& plan);

// The fastest of the plans that cuDNN offers; nothing where no engine supports the graph. Where the GPU has no
// memory left to time them in, the first one offered. Where plans for the GPU's description give nothing, those
// for the handle are tried, and where these run, all later plans are made so (cudnn_library.h).
std::optional<ChosenPlan> best_plan(Graph& graph, const PlanRules& rules);

// The plan of an earlier choice. Nothing where the text is none, or names an engine that cannot run this graph
// or breaks the rules: it may come from a file that anybody wrote. It can only choose among cuDNN's engines for
// the graph that is at hand, so the worst that it can do is to choose a slow one.
std::optional<Plan> plan_from(Graph& graph, const std::string& choice, const PlanRules& rules);

// From what Plan::code() gave, for the same graph and GPU. It is believed: only for code of the user's own.
std::optional<Plan> plan_from_code(const std::string& code);

// What the plan book calls something: with cuDNN's version, as plans of one are not another's.
std::string book_name(const std::string& what);

// Of images this large a faster kernel saves more than compiling it costs: elements.
inline constexpr std::int64_t worth_compiling = std::int64_t{1} << 20;

// The plan that the plan book names for `name`, its kernels from the code cache where they are there; otherwise
// the fastest, which both then remember. Nothing where no engine supports the graph.
std::optional<Plan> find_plan(const std::string& name, const std::function<Graph()>& make_graph);

// Whether `ours` (milliseconds) is less than `theirs`: asked once for each name, then the plan book knows. So
// what only `ours` needs is best made in there.
bool plan_wins(const std::string& name, const std::function<float()>& ours,
               const std::function<float()>& theirs);

// What was found for each shape, until the rules of the plan book change.
template <typename Key, typename Found>
class ShapeTable {
 public:
  // `find` is called once for each key, by one thread at a time.
  const Found& at(const Key& key, const std::function<Found()>& find) {
    const std::lock_guard lock(mutex_);
    if (edition_ != plan_book().edition()) found_.clear();
    edition_ = plan_book().edition();
    const auto known = found_.find(key);
    return known != found_.end() ? known->second : found_.emplace(key, find()).first->second;
  }

 private:
  std::recursive_mutex mutex_;  // looking for one may ask for another
  std::map<Key, Found> found_;
  std::uint64_t edition_ = 0;
};

// Takes the plan's workspace from the pool and starts it.
void run(const Plan& plan, const std::vector<Plan::Binding>& bindings);

}  // namespace kindred::cudnn
