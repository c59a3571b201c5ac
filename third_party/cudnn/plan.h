// Plans that run a graph of cuDNN operations, and the search for the fastest plan.
//
//   std::optional<ChosenPlan> best = best_plan(graph, rules);
//   best->plan.execute({{x, x_data}, {w, w_data}, {y, y_data}}, workspace);
#pragma once

#include <kindred/engine/files/plan_book.h>
#include <kindred/third_party/cudnn/graph.h>

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
  using Binding = std::pair<int, const void*>;  // a tensor of the graph and its address

  Plan(Descriptor plan, bool is_compiled);
  std::size_t workspace() const { return workspace_; }
  // Whether its kernels were compiled for this graph, which takes a second or two.
  bool is_compiled() const { return is_compiled_; }
  // The plan with its compiled kernels, for plan_from_code(). Returns nullopt if cuDNN does not provide it.
  std::optional<std::string> code() const;

  // Starts the work and does not wait. `workspace` must have workspace() bytes.
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
  bool timed = false;  // if false, it is only cuDNN's best guess
};

// The plans that cuDNN offers and the rules allow, its best guess first. The fallback engines are slow; they
// are for graphs for which cuDNN's usual heuristic has no engine. The list is empty if there are none.
enum class Offer : std::uint8_t { usual, fallback };
std::vector<ChosenPlan> offered_plans(Graph& graph, const PlanRules& rules, Offer offer);

// Returns the time in milliseconds, on scratch memory filled with random numbers, or nullopt if the plan does
// not run. Throws OutOfMemory if there is no room to try. Waits for the GPU; must not be called while a step is
// recorded.
std::optional<float> time_of(const Graph& graph, const Plan& plan);

// Returns the fastest of the plans that cuDNN offers, or nullopt if no engine supports the graph. If the GPU
// has no memory left for timing, it returns the first one offered. If no plan for the GPU's description works,
// plans for the handle are tried; if those run, all later plans are made for the handle (library.h).
std::optional<ChosenPlan> best_plan(Graph& graph, const PlanRules& rules);

// The plan of an earlier choice. Returns nullopt if the text is not a choice, or if it names an engine that
// cannot run this graph or that the rules forbid. The text may come from a file that anybody wrote. It can only
// select among cuDNN's engines for the given graph, so the worst it can do is to select a slow one.
std::optional<Plan> plan_from(Graph& graph, const std::string& choice, const PlanRules& rules);

// Makes a plan from the result of Plan::code() for the same graph and GPU. The code is trusted, so it must come
// from the user's own cache.
std::optional<Plan> plan_from_code(const std::string& code);

// The name under which the plan book stores something. It contains cuDNN's version, because plans of one
// version are not valid for another.
std::string book_name(const std::string& what);

// From this image size on, in elements, a faster kernel saves more time than compiling it costs.
inline constexpr std::int64_t worth_compiling = std::int64_t{1} << 20;

// The plan that the plan book has for `name`, with kernels from the code cache if they are there. Otherwise the
// fastest plan, which is then stored in both. Returns nullopt if no engine supports the graph.
std::optional<Plan> find_plan(const std::string& name, const std::function<Graph()>& make_graph);

// Returns true if `ours` (milliseconds) is less than `theirs`. It measures once for each name and then asks the
// plan book. So whatever only `ours` needs is best created inside it.
bool plan_wins(const std::string& name, const std::function<float()>& ours,
               const std::function<float()>& theirs);

// Results for each shape; cleared when the rules of the plan book change.
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
  std::recursive_mutex mutex_;  // recursive, because a search may start another one
  std::map<Key, Found> found_;
  std::uint64_t edition_ = 0;
};

// Takes the plan's workspace from the pool and starts it.
void run(const Plan& plan, const std::vector<Plan::Binding>& bindings);

}  // namespace kindred::cudnn
