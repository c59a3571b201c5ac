#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn_graph.h>

#include <algorithm>
#include <limits>

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

// Candidates of one heuristic; an empty list where it has none.
std::vector<Descriptor> candidates(const Graph& graph, cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.descriptor());
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (!heuristic.try_finalize()) return {};
  constexpr std::int64_t most = 16;
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i)
    raw.push_back(found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
  const std::int64_t count =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, raw.data());
  found.erase(found.begin() + static_cast<std::ptrdiff_t>(std::min(count, most)), found.end());
  return found;
}

bool obeys(const Descriptor& configuration, const PlanRules& rules) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  const std::int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                        CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes);
  const auto has = [&](cudnnBackendNumericalNote_t note) {
    return std::find(notes, notes + count, note) != notes + count;
  };
  if (rules.deterministic && has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  // In float32 the tensor cores' only way is to round the factors; with 16-bit factors nothing is rounded.
  if (!rules.allow_tf32 && (has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS))) return false;
  // Sums in 16 bits would lose what float32 statistics are for.
  return !has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION);
}

// Scratch memory for every tensor of a graph, filled with random numbers: zeros would be multiplied faster.
class Scratch {
 public:
  explicit Scratch(const Graph& graph) {
    for (std::size_t i = 0; i < graph.tensors().size(); ++i) {
      const Graph::TensorInfo& info = graph.tensors()[i];
      if (info.is_virtual) continue;
      const auto elements = static_cast<std::int64_t>(info.bytes() / size_of(info.dtype));
      memory_.push_back(Tensor::empty({elements}, info.dtype, Device::cuda));
      cuda::randomize(memory_.back());
      bindings.emplace_back(static_cast<int>(i), memory_.back().raw());
    }
  }
  std::vector<Plan::Binding> bindings;

 private:
  std::vector<Tensor> memory_;
};

class Event {
 public:
  Event() { cuda::check_status(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { cuda::check_status(cudaEventRecord(event_, cuda::stream()), "cudaEventRecord"); }
  float since(const Event& start) const {  // milliseconds
    cuda::check_status(cudaEventSynchronize(event_), "a kernel");
    float milliseconds = 0;
    cuda::check_status(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
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
  c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::vector<std::int64_t>{window.pad_before, window.pad_before});
  c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
        std::vector<std::int64_t>{window.pad_after_h, window.pad_after_w});
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

std::string Plan::to_json() const {
  std::string json(static_cast<std::size_t>(
                       plan_.get(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, 0, nullptr)),
                   ' ');
  plan_.get(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
            static_cast<std::int64_t>(json.size()), json.data());
  return json;
}

std::optional<Plan> Plan::from_json(const std::string& json) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &library().handle);
  // A plan of another version or GPU is refused here, or when it is finalized: it is then chosen anew.
  if (library().set_attribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                              static_cast<std::int64_t>(json.size()), json.data()) != CUDNN_STATUS_SUCCESS)
    return {};
  if (!plan.try_finalize()) return {};
  return Plan(std::move(plan));
}

std::optional<Plan> best_plan(Graph& graph, const PlanRules& rules) {
  if (!graph.finalize()) return {};
  std::vector<Descriptor> all;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_INSTANT, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& each : candidates(graph, mode)) all.push_back(std::move(each));
    if (mode == CUDNN_HEUR_MODE_INSTANT && !all.empty()) break;  // the fallback's engines are slow ones
  }
  const Scratch scratch(graph);
  std::optional<Plan> best;
  float best_time = std::numeric_limits<float>::max();
  Event start, end;
  for (const Descriptor& configuration : all) {
    if (!obeys(configuration, rules)) continue;
    Descriptor descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    descriptor.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &library().handle);
    descriptor.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (!descriptor.try_finalize()) continue;  // this engine does not support this shape
    Plan plan(std::move(descriptor));
    const Tensor workspace =
        Tensor::empty({static_cast<std::int64_t>(plan.workspace())}, DType::u8, Device::cuda);
    if (!plan.try_execute(scratch.bindings, workspace.raw())) continue;
    float time = std::numeric_limits<float>::max();
    for (int repeat = 0; repeat < 3; ++repeat) {
      start.record();
      plan.execute(scratch.bindings, workspace.raw());
      end.record();
      time = std::min(time, end.since(start));
    }
    if (time >= best_time) continue;
    best_time = time;
    best = std::move(plan);
  }
  return best;
}

}  // namespace kindred::cudnn
