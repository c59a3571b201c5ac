#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/code_cache.h>
#include <kindred/third_party/cudnn/plan.h>
#include <kindred/third_party/timing/fastest.h>
#include <kindred/third_party/timing/gpu_timing.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <future>
#include <memory>

namespace kindred::cudnn {
namespace {

// How many plans of a graph are timed: ready-made ones take milliseconds, others must be compiled first.
constexpr int most_ready = 16, most_compiled = 4;

// The candidates of one heuristic, its best guess first; empty if it has none.
std::vector<Descriptor> candidates(const Graph& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.descriptor());
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  heuristic.set_gpu({}, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  if (!heuristic.try_finalize()) return {};
  // Takes all of them, because those that the rules allow may come last.
  const std::int64_t most =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i)
    raw.push_back(found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  const std::int64_t count =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, raw.data());
  found.erase(found.begin() + static_cast<std::ptrdiff_t>(std::min(count, most)), found.end());
  return found;
}

Descriptor engine_of(const Descriptor& configuration) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
  return engine;
}

// More than an engine has, also in a cuDNN that is newer than this build's header: 9.19 has 10 notes and 44
// knobs. cuDNN does not return the number if asked for zero of them.
constexpr int most_notes = 64, most_knobs = 64;
// The number of a knob is less than this.
constexpr int largest_knob = 256;

template <typename Note>
std::vector<Note> notes_of(const Descriptor& engine, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type) {
  std::vector<Note> notes(most_notes);
  const std::int64_t count = engine.get(name, type, most_notes, notes.data());
  notes.resize(static_cast<std::size_t>(std::min<std::int64_t>(count, most_notes)));
  return notes;
}

// Returns true if the engine's kernels are compiled for the graph, which takes a second or two for each plan.
bool runtime_compiled(const Descriptor& engine) {
  const auto notes =
      notes_of<cudnnBackendBehaviorNote_t>(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE);
  return std::find(notes.begin(), notes.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != notes.end();
}

bool obeys(const Descriptor& engine, const PlanRules& rules, DType factors) {
  const auto notes = notes_of<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                           CUDNN_TYPE_NUMERICAL_NOTE);
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  };
  if (rules.deterministic && has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  const bool may_round = factors == DType::f32 && rules.allow_tf32;
  if (!may_round && has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  // Tensor cores do not support float32: they round the factors to tf32.
  if (factors == DType::f32 && !may_round && has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
  // Sums in 16 bits would lose the precision that float32 statistics are kept for.
  return !has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

// "12 3=1 7=0": engine 12, its knob 3 at 1, its knob 7 at 0.
std::string choice_of(const Descriptor& configuration, const Descriptor& engine) {
  std::int64_t index = 0;
  engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
  std::string text = std::to_string(index);
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int i = 0; i < most_knobs; ++i)
    raw.push_back(knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR).raw());
  const std::int64_t count = configuration.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                               most_knobs, raw.data());
  for (std::int64_t i = 0; i < std::min<std::int64_t>(count, most_knobs); ++i) {
    const Descriptor& knob = knobs[static_cast<std::size_t>(i)];
    cudnnBackendKnobType_t type{};
    std::int64_t value = 0;
    knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
    knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
    text += fmt::format(" {}={}", static_cast<int>(type), value);
  }
  return text;
}

struct Choice {
  std::int64_t engine;
  std::map<cudnnBackendKnobType_t, std::int64_t> knobs;
};

// The inverse. Returns nullopt unless the text has exactly this form, with each knob once.
std::optional<Choice> read_choice(const std::string& text) {
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&](auto& value) {
    const auto [rest, error] = std::from_chars(at, end, value);
    at = rest;
    return error == std::errc();
  };
  const auto letter = [&](char wanted) { return at != end && *at++ == wanted; };
  Choice choice{};
  if (!number(choice.engine) || choice.engine < 0) return {};
  while (at != end) {
    int type = 0;
    std::int64_t value = 0;
    if (!letter(' ') || !number(type) || type < 0 || type >= largest_knob || !letter('=') || !number(value) ||
        !choice.knobs.emplace(static_cast<cudnnBackendKnobType_t>(type), value).second)
      return {};
  }
  return choice;
}

std::optional<Descriptor> plan_of(const Descriptor& configuration) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set_gpu(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!plan.try_finalize()) return {};  // this engine does not support this shape
  return plan;
}

// The plan, or nullopt if it needs so much memory that a larger batch would be worth more.
std::optional<Plan> worthwhile(Descriptor descriptor, bool is_compiled) {
  constexpr std::size_t largest_workspace = std::size_t{256} << 20;
  Plan plan(std::move(descriptor), is_compiled);
  if (plan.workspace() > largest_workspace) return {};
  return plan;
}

// Memory for every tensor of a graph that is not virtual.
struct Scratch {
  explicit Scratch(const Graph& graph) {
    for (std::size_t i = 0; i < graph.tensors().size(); ++i) {
      const Graph::TensorInfo& info = graph.tensors()[i];
      if (info.is_virtual) continue;
      if (info.is_scalar) {
        bindings.emplace_back(static_cast<int>(i), &scalar);
        continue;
      }
      tensors.push_back(
          memory.random(static_cast<std::int64_t>(info.bytes() / size_of(info.dtype)), info.dtype));
      bindings.emplace_back(static_cast<int>(i), tensors.back().raw());
    }
  }
  cuda::ScratchMemory memory;
  float scalar = 1e-3f;
  std::vector<Tensor> tensors;
  std::vector<Plan::Binding> bindings;
};

// Returns nullopt if the plan does not run.
std::optional<float> time_on(const Scratch& scratch, const Plan& plan) {
  const Tensor workspace =
      Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
  if (!plan.try_execute(scratch.bindings, workspace.raw())) return {};
  return cuda::time_on_gpu([&] { plan.execute(scratch.bindings, workspace.raw()); });
}

// The best plan of one of cuDNN's two lists; nullopt if the list is empty or none of its plans runs.
std::optional<ChosenPlan> best_of(Graph& graph, const PlanRules& rules, Offer offer) {
  std::vector<ChosenPlan> offered = offered_plans(graph, rules, offer);
  const std::optional<Fastest> best = fastest_of(
      offered.size(), [&] { return std::make_unique<Scratch>(graph); },
      [&](const auto& scratch, std::size_t i) { return time_on(*scratch, offered[i].plan); });
  if (!best) return {};
  offered[best->index].timed = best->timed;
  return std::move(offered[best->index]);
}

}  // namespace

Plan::Plan(Descriptor plan, bool is_compiled) : plan_(std::move(plan)), is_compiled_(is_compiled) {
  std::int64_t bytes = 0;
  plan_.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes);
  workspace_ = static_cast<std::size_t>(bytes);
}

std::optional<std::string> Plan::code() const {
  return plan_.get_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
}

cudnnStatus_t Plan::start(const std::vector<Binding>& bindings, void* workspace) const {
  std::vector<std::int64_t> ids;
  std::vector<const void*> addresses;
  for (const auto& [id, address] : bindings) {
    ids.push_back(id);
    addresses.push_back(address);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
           static_cast<std::int64_t>(addresses.size()), addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize("binding tensors to a plan");
  return library().execute(handle(), plan_.raw(), pack.raw());
}

bool Plan::try_execute(const std::vector<Binding>& bindings, void* workspace) const {
  return start(bindings, workspace) == CUDNN_STATUS_SUCCESS;
}

void Plan::execute(const std::vector<Binding>& bindings, void* workspace) const {
  check_status(start(bindings, workspace), "running a plan");
}

std::vector<ChosenPlan> offered_plans(Graph& graph, const PlanRules& rules, Offer offer) {
  if (!graph.finalize()) return {};
  const std::vector<Descriptor> all =
      candidates(graph, offer == Offer::usual ? CUDNN_HEUR_MODE_A : CUDNN_HEUR_MODE_FALLBACK);
  struct Candidate {
    const Descriptor* configuration;
    Descriptor engine;
    bool is_compiled;
    std::optional<Descriptor> plan;
    std::future<std::optional<Descriptor>> compiling;
  };
  std::vector<Candidate> chosen;
  int ready = 0, compiled = 0;
  for (const Descriptor& configuration : all) {
    Descriptor engine = engine_of(configuration);
    if (!obeys(engine, rules, graph.tensors().front().dtype)) continue;
    const bool is_compiled = runtime_compiled(engine);
    if (is_compiled ? compiled++ >= most_compiled : ready++ >= most_ready) continue;
    chosen.push_back({&configuration, std::move(engine), is_compiled, {}, {}});
  }
  for (Candidate& candidate : chosen)
    if (!candidate.is_compiled) candidate.plan = plan_of(*candidate.configuration);
  const std::launch when = plans_are_for_a_description() ? std::launch::async : std::launch::deferred;
  for (Candidate& candidate : chosen)
    if (candidate.is_compiled)
      candidate.compiling = std::async(when, [&candidate] {
        // A new thread has no GPU context, and without a handle cuDNN does not know of one.
        if (!is_described()) cuda::check_status(cudaSetDevice(0), "cudaSetDevice");
        return plan_of(*candidate.configuration);
      });
  std::vector<ChosenPlan> plans;
  for (Candidate& candidate : chosen) {
    if (candidate.is_compiled) candidate.plan = candidate.compiling.get();
    if (!candidate.plan) continue;
    if (std::optional<Plan> plan = worthwhile(std::move(*candidate.plan), candidate.is_compiled))
      plans.push_back({std::move(*plan), choice_of(*candidate.configuration, candidate.engine), false});
  }
  return plans;
}

std::optional<float> time_of(const Graph& graph, const Plan& plan) {
  const Scratch scratch(graph);
  return time_on(scratch, plan);
}

std::optional<ChosenPlan> best_plan(Graph& graph, const PlanRules& rules) {
  for (const Offer offer : {Offer::usual, Offer::fallback})
    if (std::optional<ChosenPlan> best = best_of(graph, rules, offer)) return best;
  if (!plans_are_for_a_description() || is_described()) return {};
  // Plans for the description of a GPU are a new feature of cuDNN. If there are none, or if they do not run,
  // the handle is tried before a plan is declared missing.
  MakePlansByHandle by_handle;
  for (const Offer offer : {Offer::usual, Offer::fallback})
    if (std::optional<ChosenPlan> best = best_of(graph, rules, offer)) {
      by_handle.keep();
      return best;
    }
  return {};
}

std::optional<Plan> plan_from(Graph& graph, const std::string& choice, const PlanRules& rules) {
  const std::optional<Choice> read = read_choice(choice);
  if (!read || !graph.finalize()) return {};
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.descriptor());
  engine.set_gpu({}, CUDNN_ATTR_ENGINE_DEVICEPROP);
  if (!engine.try_set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &read->engine) ||
      !engine.try_finalize())
    return {};
  if (!obeys(engine, rules, graph.tensors().front().dtype)) return {};

  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [type, value] : read->knobs) {
    Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    if (!knob.try_set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type) ||
        !knob.try_set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value) || !knob.try_finalize())
      return {};
    raw.push_back(knob.raw());
  }
  Descriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!raw.empty() && !configuration.try_set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                             static_cast<std::int64_t>(raw.size()), raw.data()))
    return {};
  if (!configuration.try_finalize()) return {};
  std::optional<Descriptor> plan = plan_of(configuration);
  return plan ? worthwhile(std::move(*plan), runtime_compiled(engine)) : std::nullopt;
}

std::optional<Plan> plan_from_code(const std::string& code) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set_gpu(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  if (!plan.try_set_text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, code) || !plan.try_finalize())
    return {};
  return worthwhile(std::move(plan), true);
}

namespace {

// Code from an earlier program is tested before a step relies on it, if there is room for the test.
bool seems_to_run(const Graph& graph, const Plan& plan) {
  if (is_described()) return true;
  try {
    return time_of(graph, plan).has_value();
  } catch (const OutOfMemory&) {
    return true;
  }
}

// The same for a plan that was made from an earlier choice. Of plans for a description only the first of each
// kind is tested, because either all of a kind run or none.
bool is_trusted(const Graph& graph, const Plan& plan) {
  static std::array<std::atomic<bool>, 2> proven{};
  if (!plans_are_for_a_description() || proven[plan.is_compiled() ? 1 : 0]) return true;
  const bool runs = seems_to_run(graph, plan);
  if (runs) proven[plan.is_compiled() ? 1 : 0] = true;
  return runs;
}

}  // namespace

std::optional<Plan> find_plan(const std::string& name, const std::function<Graph()>& make_graph) {
  const PlanRules rules = plan_book().rules();
  const std::optional<std::string> gpu = gpu_description();
  const auto code_name = [&](const std::string& choice) {
    return fmt::format("{}; {}; deterministic {}; tf32 {}; {}", name, choice, rules.deterministic,
                       rules.allow_tf32, gpu.value_or(""));
  };
  const auto keep_code = [&](const Plan& plan, const std::string& choice) {
    if (!gpu || !plan.is_compiled()) return;
    if (const auto code = plan.code()) code_cache().remember(code_name(choice), *code);
  };
  Graph graph = make_graph();
  if (const auto choice = plan_book().find(name)) {
    if (const auto code = gpu ? code_cache().find(code_name(*choice)) : std::nullopt)
      if (std::optional<Plan> plan = plan_from_code(*code); plan && seems_to_run(graph, *plan)) return plan;
    if (std::optional<Plan> plan = plan_from(graph, *choice, rules); plan && is_trusted(graph, *plan)) {
      keep_code(*plan, *choice);
      return plan;
    }
  }
  std::optional<ChosenPlan> best = best_plan(graph, rules);
  if (!best) return {};
  if (!best->timed) return std::move(best->plan);  // not stored: the next program may have more memory
  plan_book().remember(name, best->choice);
  keep_code(best->plan, best->choice);
  return std::move(best->plan);
}

std::string book_name(const std::string& what) {
  return fmt::format("cuDNN {}: {}", library().version(), what);
}

bool plan_wins(const std::string& name, const std::function<float()>& ours,
               const std::function<float()>& theirs) {
  std::optional<std::string> winner = plan_book().find(name);
  if (!winner) {
    try {
      winner = ours() < theirs() ? "cuDNN" : "other";
    } catch (const OutOfMemory&) {
      return false;
    }
    plan_book().remember(name, *winner);
  }
  return *winner == "cuDNN";
}

void run(const Plan& plan, const std::vector<Plan::Binding>& bindings) {
  const Tensor workspace =
      Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
  plan.execute(bindings, workspace.raw());
}

}  // namespace kindred::cudnn
