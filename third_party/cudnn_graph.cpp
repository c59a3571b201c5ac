#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn_graph.h>
#include <kindred/third_party/gpu_timing.h>

#include <algorithm>
#include <limits>
#include <sstream>

namespace kindred::cudnn {
namespace {

cudnnDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CUDNN_DATA_FLOAT;
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    case DType::f16:
      return CUDNN_DATA_HALF;
    default:
      fail(ExitCode::internal, "cuDNN is not used for {}", name(dtype));
  }
}

constexpr std::int64_t alignment = 16;  // bytes, of every tensor that a plan is given
// A plan that needs more is not worth what it takes from the batch.
constexpr std::size_t largest_workspace = std::size_t{256} << 20;

// Candidates of one heuristic; an empty list where it has none.
std::vector<Descriptor> candidates(const Graph& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.descriptor());
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (!heuristic.try_finalize()) return {};
  constexpr std::int64_t most = 8;  // best guess first; some are compiled before they can be timed
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

bool obeys(const Descriptor& engine, const PlanRules& rules, DType factors) {
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                        CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes);
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes, notes + count, note) != notes + count;
  };
  if (rules.deterministic && has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  const bool may_round = factors == DType::f32 && rules.allow_tf32;
  if (!may_round && has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return false;
  // Tensor cores have no float32: they round the factors to tf32 on the way in.
  if (factors == DType::f32 && !may_round && has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return false;
  // Sums in 16 bits would lose what float32 statistics are for.
  return !has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

// "12 3=1 7=0": engine 12, its knob 3 at 1, its knob 7 at 0.
std::string choice_of(const Descriptor& configuration, const Descriptor& engine) {
  std::int64_t index = 0;
  engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
  std::string text = std::to_string(index);
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int i = 0; i < CUDNN_KNOB_TYPE_COUNTS; ++i)
    raw.push_back(knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR).raw());
  const std::int64_t count = configuration.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                               CUDNN_KNOB_TYPE_COUNTS, raw.data());
  for (std::int64_t i = 0; i < count; ++i) {
    const Descriptor& knob = knobs[static_cast<std::size_t>(i)];
    cudnnBackendKnobType_t type{};
    std::int64_t value = 0;
    knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
    knob.get(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
    text += fmt::format(" {}={}", static_cast<int>(type), value);
  }
  return text;
}

std::optional<Descriptor> plan_of(const Descriptor& configuration) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &library().handle);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!plan.try_finalize()) return {};  // this engine does not support this shape
  return plan;
}

// Memory for every tensor of a graph that is in memory.
struct Scratch {
  explicit Scratch(const Graph& graph) {
    for (std::size_t i = 0; i < graph.tensors().size(); ++i) {
      const Graph::TensorInfo& info = graph.tensors()[i];
      if (info.is_virtual) continue;
      tensors.push_back(
          memory.random(static_cast<std::int64_t>(info.bytes() / size_of(info.dtype)), info.dtype));
      bindings.emplace_back(static_cast<int>(i), tensors.back().raw());
    }
  }
  cuda::ScratchMemory memory;
  std::vector<Tensor> tensors;
  std::vector<Plan::Binding> bindings;
};

}  // namespace

std::size_t Graph::TensorInfo::bytes() const {
  std::size_t product = size_of(dtype);
  for (const std::int64_t extent : dimensions) product *= static_cast<std::size_t>(extent);
  return product;
}

int Graph::tensor(DType dtype, const Dimensions& dimensions, bool is_virtual) {
  const auto [n, c, h, w] = dimensions;
  const auto id = static_cast<std::int64_t>(infos_.size());
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const cudnnDataType_t type = type_of(is_virtual ? DType::f32 : dtype);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<std::int64_t>{n, c, h, w});
  t.set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<std::int64_t>{c * h * w, 1, w * c, c});
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
  t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  t.finalize("describing a tensor");
  tensors_.push_back(std::move(t));
  infos_.push_back({dtype, dimensions, is_virtual});
  return static_cast<int>(id);
}

void Graph::convolution(Kind kind, int x, int w, int y, const Window& window) {
  Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
  c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<std::int64_t>{1, 1});
  c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<std::int64_t>{window.stride, window.stride});
  c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::vector<std::int64_t>{window.pad, window.pad});
  c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::vector<std::int64_t>{window.pad, window.pad});
  c.finalize("describing a convolution");

  struct Names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
  };
  static constexpr Names all[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
  };
  const Names& names = all[static_cast<std::size_t>(kind)];
  Descriptor operation(names.type);
  const float one = 1, zero = 0;
  operation.set(names.convolution, c);
  operation.set(names.x, tensors_[static_cast<std::size_t>(x)]);
  operation.set(names.w, tensors_[static_cast<std::size_t>(w)]);
  operation.set(names.y, tensors_[static_cast<std::size_t>(y)]);
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &one);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &zero);
  operation.finalize("describing a convolution's tensors");
  parts_.push_back(std::move(c));
  operations_.push_back(std::move(operation));
}

void Graph::add(int a, int b, int sum) {
  Descriptor pointwise(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  pointwise.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  pointwise.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums);
  pointwise.finalize("describing an addition");
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensors_[static_cast<std::size_t>(a)]);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, tensors_[static_cast<std::size_t>(b)]);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensors_[static_cast<std::size_t>(sum)]);
  operation.finalize("describing an addition's tensors");
  parts_.push_back(std::move(pointwise));
  operations_.push_back(std::move(operation));
}

bool Graph::finalize() {
  graph_.emplace(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& operation : operations_) raw.push_back(operation.raw());
  graph_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<std::int64_t>(raw.size()), raw.data());
  graph_->set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &library().handle);
  return graph_->try_finalize();
}

Plan::Plan(Descriptor plan) : plan_(std::move(plan)) {
  std::int64_t bytes = 0;
  plan_.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes);
  workspace_ = static_cast<std::size_t>(bytes);
}

bool Plan::try_execute(const std::vector<Binding>& bindings, void* workspace) const {
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
  return library().execute(library().handle, plan_.raw(), pack.raw()) == CUDNN_STATUS_SUCCESS;
}

void Plan::execute(const std::vector<Binding>& bindings, void* workspace) const {
  check(try_execute(bindings, workspace), ExitCode::device, "cuDNN: running a plan failed");
}

std::optional<ChosenPlan> best_plan(Graph& graph, const PlanRules& rules) {
  if (!graph.finalize()) return {};
  const DType factors = graph.tensors().front().dtype;
  const Scratch scratch(graph);
  std::optional<ChosenPlan> best;
  float best_time = std::numeric_limits<float>::max();
  // The fallback's engines are slow ones, for what the heuristic knows no other for.
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (best) break;
    for (const Descriptor& configuration : candidates(graph, mode)) {
      const Descriptor engine = engine_of(configuration);
      if (!obeys(engine, rules, factors)) continue;
      std::optional<Descriptor> descriptor = plan_of(configuration);
      if (!descriptor) continue;
      Plan plan(std::move(*descriptor));
      if (plan.workspace() > largest_workspace) continue;
      const Tensor workspace =
          Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
      if (!plan.try_execute(scratch.bindings, workspace.raw())) continue;
      const float time = cuda::time_on_gpu([&] { plan.execute(scratch.bindings, workspace.raw()); });
      if (time >= best_time) continue;
      best_time = time;
      best = ChosenPlan{std::move(plan), choice_of(configuration, engine)};
    }
  }
  return best;
}

std::optional<Plan> plan_from(Graph& graph, const std::string& choice, const PlanRules& rules) {
  std::istringstream words(choice);
  std::int64_t index = -1;
  if (!(words >> index) || index < 0 || !graph.finalize()) return {};
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.descriptor());
  if (!engine.try_set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, index) || !engine.try_finalize()) return {};
  if (!obeys(engine, rules, graph.tensors().front().dtype)) return {};

  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  int number = 0;
  char equals = 0;
  for (std::int64_t value = 0; words >> number >> equals >> value;) {
    if (equals != '=' || number < 0 || number >= CUDNN_KNOB_TYPE_COUNTS ||
        knobs.size() >= CUDNN_KNOB_TYPE_COUNTS)
      return {};
    const auto type = static_cast<cudnnBackendKnobType_t>(number);
    Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    if (!knob.try_finalize()) return {};
    raw.push_back(knob.raw());
  }
  if (!words.eof()) return {};
  Descriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!raw.empty())
    configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                      static_cast<std::int64_t>(raw.size()), raw.data());
  if (!configuration.try_finalize()) return {};
  std::optional<Descriptor> plan = plan_of(configuration);
  if (!plan) return {};
  Plan result(std::move(*plan));
  if (result.workspace() > largest_workspace) return {};
  return result;
}

}  // namespace kindred::cudnn
