// A graph of cuDNN operations that is only asked about (ask_cudnn.cpp): third_party/cudnn/graph.h has the operations that
// Kindred runs, this one more, and it takes whatever cuDNN takes.
#pragma once

#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn/library.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kindred::cudnn {

// A filter of `window` x `window` from c to k channels on `size` x `size` pixels.
struct Layer {
  std::int64_t size, c, k, window, stride;
  int times;  // in ResNet-50
  std::int64_t out() const { return (size + 2 * (window / 2) - window) / stride + 1; }
};

using Dimensions = std::array<std::int64_t, 4>;

// Tensors are numbered.
class Asked {
 public:
  explicit Asked(cudnnDataType_t type) : type_(type) {}

  int image(const Dimensions& d, bool is_virtual = false) {
    return tensor(is_virtual ? CUDNN_DATA_FLOAT : type_, d, is_virtual);
  }
  int channels(std::int64_t c) { return tensor(CUDNN_DATA_FLOAT, {1, c, 1, 1}, false); }
  int channels_of_type(std::int64_t c) { return tensor(type_, {1, c, 1, 1}, false); }
  int bits(const Dimensions& d) { return tensor(CUDNN_DATA_BOOLEAN, d, false); }

  void convolution(bool forward, int x, int w, int y, const Layer& l) {
    Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const std::int64_t pad = l.window / 2;
    c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
    c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<std::int64_t>{1, 1});
    c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<std::int64_t>{l.stride, l.stride});
    c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::vector<std::int64_t>{pad, pad});
    c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::vector<std::int64_t>{pad, pad});
    ok_ = ok_ && c.try_finalize();
    const float one = 1, zero = 0;
    if (forward) {
      Descriptor o(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
      add(std::move(o), {{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x},
                         {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w},
                         {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y}});
    } else {
      Descriptor o(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, c);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
      o.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
      add(std::move(o), {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, x},
                         {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w},
                         {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, y}});
    }
    parts_.push_back(std::move(c));
  }

  // y = mode(a, b); of RELU_BWD a is the gradient and b what came before (or after) the ReLU.
  void pointwise(cudnnPointwiseMode_t mode, int a, int b, int y) {
    Descriptor p(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    p.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    p.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ok_ = ok_ && p.try_finalize();
    Descriptor o(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
    if (mode == CUDNN_POINTWISE_RELU_BWD)
      add(std::move(o), {{CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, a},
                         {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, b},
                         {CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, y}});
    else if (b < 0)
      add(std::move(o), {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a}, {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y}});
    else
      add(std::move(o), {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a},
                         {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b},
                         {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y}});
    parts_.push_back(std::move(p));
  }

  void statistics(int x, int sum, int squares) {
    Descriptor o(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    o.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode);
    o.set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    add(std::move(o), {{CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x},
                       {CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sum},
                       {CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares}});
  }

  void sum_of_channels(int x, int sum) {
    Descriptor r(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    const cudnnReduceTensorOp_t what = CUDNN_REDUCE_TENSOR_ADD;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    r.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &what);
    r.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ok_ = ok_ && r.try_finalize();
    Descriptor o(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    o.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, r);
    add(std::move(o), {{CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x}, {CUDNN_ATTR_OPERATION_REDUCTION_YDESC, sum}});
    parts_.push_back(std::move(r));
  }

  // The two sums of a batch norm's gradient, and the three coefficients of dx that follow from them.
  void gradients_of_norm(int x, int dy, std::int64_t c) {
    Descriptor o(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    o.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    add(std::move(o), {{CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, dy},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean_},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, inv_std_},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, scale_},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, channels(c)},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, channels(c)},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, channels(c)},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, channels(c)},
                       {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, channels(c)}});
  }

  // ((x - mean) * inv_std) * scale + bias, virtual: the batch norm's result before its ReLU.
  int normalized(int x, const Dimensions& d) {
    mean_ = channels(d[1]);
    inv_std_ = channels(d[1]);
    scale_ = channels(d[1]);
    int at = x;
    for (const auto& [mode, with] : {std::pair{CUDNN_POINTWISE_SUB, mean_},
                                     {CUDNN_POINTWISE_MUL, inv_std_},
                                     {CUDNN_POINTWISE_MUL, scale_},
                                     {CUDNN_POINTWISE_ADD, channels(d[1])}}) {
      const int next = image(d, true);
      pointwise(mode, at, with, next);
      at = next;
    }
    return at;
  }

  struct Answer {
    std::set<std::int64_t> engines;  // offered
    std::int64_t first = -1;         // of these, the first whose plan could be made
    std::int64_t workspace = 0;      // of that plan, in bytes
    double seconds = 0;              // that it took to make
    bool compiled = false;           // for this graph
    std::string refusal;             // where there is no plan
  };

  Answer ask() {
    Answer answer;
    if (!ok_) return answer.refusal = "not described: " + why_, answer;
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& o : operations_) raw.push_back(o.raw());
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<std::int64_t>(raw.size()), raw.data());
    if (!graph.try_finalize()) return answer.refusal = "no graph: " + last_error(), answer;
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK})
      try_offered(graph, mode, answer);
    if (answer.engines.empty() && answer.refusal.empty()) answer.refusal = "no engine";
    return answer;
  }

 private:
  int tensor(cudnnDataType_t type, const Dimensions& d, bool is_virtual) {
    const auto [n, c, h, w] = d;
    Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<std::int64_t>{n, c, h, w});
    t.set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<std::int64_t>{c * h * w, 1, w * c, c});
    t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<std::int64_t>(tensors_.size()));
    t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16});
    t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
    t.finalize("describing a tensor");
    tensors_.push_back(std::move(t));
    return static_cast<int>(tensors_.size()) - 1;
  }

  void add(Descriptor o, const std::vector<std::pair<cudnnBackendAttributeName_t, int>>& tensors) {
    for (const auto& [name, id] : tensors) {
      const cudnnBackendDescriptor_t raw = tensors_[static_cast<std::size_t>(id)].raw();
      ok_ = ok_ && o.try_set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
    }
    if (ok_ && !o.try_finalize()) {
      ok_ = false;
      why_ = last_error();
    }
    operations_.push_back(std::move(o));
  }

  static std::string last_error() {
    char text[512] = "";
    library().last_error_string(text, sizeof text);
    return text;
  }

  void try_offered(const Descriptor& graph, cudnnBackendHeurMode_t mode, Answer& answer) {
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    heuristic.set_gpu({}, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    if (!heuristic.try_finalize()) return;
    const std::int64_t count =
        heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
    std::vector<Descriptor> found;
    std::vector<cudnnBackendDescriptor_t> raw;
    for (std::int64_t i = 0; i < count; ++i)
      raw.push_back(found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).raw());
    const std::int64_t filled =
        heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, raw.data());
    found.erase(found.begin() + static_cast<std::ptrdiff_t>(std::min(filled, count)), found.end());
    for (const Descriptor& configuration : found) {
      Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
      cudnnBackendDescriptor_t raw_engine = engine.raw();
      configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw_engine);
      std::int64_t index = -1;
      engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index);
      const bool is_new = answer.engines.insert(index).second;
      // One plan of an engine is tried, and none after the first that could be made: each may take seconds.
      if (is_new && answer.first < 0) make_plan(configuration, engine, index, answer);
    }
  }

  static void make_plan(const Descriptor& configuration, const Descriptor& engine, std::int64_t index,
                        Answer& answer) {
    const auto start = std::chrono::steady_clock::now();
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set_gpu(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (!plan.try_finalize()) {
      answer.refusal = fmt::format("engine {} makes no plan: {}", index, last_error());
      return;
    }
    answer.first = index;
    answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &answer.workspace);
    std::vector<cudnnBackendBehaviorNote_t> notes(64);
    const std::int64_t held = engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                         static_cast<std::int64_t>(notes.size()), notes.data());
    notes.resize(static_cast<std::size_t>(std::min<std::int64_t>(held, 64)));
    answer.compiled =
        std::find(notes.begin(), notes.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != notes.end();
  }

  cudnnDataType_t type_;
  bool ok_ = true;
  std::string why_;
  int mean_ = -1, inv_std_ = -1, scale_ = -1;
  std::vector<Descriptor> tensors_, parts_, operations_;
};

}  // namespace kindred::cudnn
