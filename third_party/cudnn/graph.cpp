#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn/graph.h>

#include <algorithm>

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
    case DType::u8:
      return CUDNN_DATA_BOOLEAN;  // one bit per element: bytes are used only as masks here
    default:
      fail(ExitCode::internal, "cuDNN is not used for {}", name(dtype));
  }
}

}  // namespace

std::size_t Graph::TensorInfo::bytes() const {
  std::size_t product = size_of(dtype);
  for (const std::int64_t extent : dimensions) product *= static_cast<std::size_t>(extent);
  return dtype == DType::u8 ? (product + 7) / 8 : product;
}

int Graph::tensor(DType dtype, const Dimensions& dimensions, bool is_virtual) {
  return describe({dtype, dimensions, is_virtual, false});
}

int Graph::mask(const Dimensions& dimensions) {
  return describe({DType::u8, dimensions, false, false});
}

int Graph::scalar() {
  return describe({DType::f32, {1, 1, 1, 1}, false, true});
}

int Graph::describe(const TensorInfo& info) {
  const auto [n, c, h, w] = info.dimensions;
  const auto id = static_cast<std::int64_t>(infos_.size());
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const cudnnDataType_t type = type_of(info.dtype);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<std::int64_t>{n, c, h, w});
  t.set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<std::int64_t>{c * h * w, 1, w * c, c});
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::max(alignment_, static_cast<std::int64_t>(size_of(info.dtype))));
  t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, info.is_virtual);
  t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, info.is_scalar);
  t.finalize("describing a tensor");
  tensors_.push_back(std::move(t));
  infos_.push_back(info);
  return static_cast<int>(id);
}

void Graph::convolution(ConvPass pass, int x, int w, int y, const Window& window) {
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
  const Names& names = all[static_cast<std::size_t>(pass)];
  Descriptor operation(names.type);
  const float one = 1, zero = 0;
  operation.set(names.convolution, c);
  set_tensors(operation, {{names.x, x}, {names.w, w}, {names.y, y}});
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &one);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &zero);
  operation.finalize("describing a convolution's tensors");
  parts_.push_back(std::move(c));
  operations_.push_back(std::move(operation));
}

// Each tensor is paired with the attribute that it has in the operation.
void Graph::pointwise(cudnnPointwiseMode_t mode,
                      std::initializer_list<std::pair<cudnnBackendAttributeName_t, int>> tensors) {
  Descriptor arithmetic(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  arithmetic.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  arithmetic.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
  if (mode == CUDNN_POINTWISE_RELU_FWD) {
    // CUDNN_ATTR_POINTWISE_NAN_PROPAGATION and its type are given as numbers, because since 9.19 the headers
    // warn about their names. That version accepts the attribute but no longer needs it.
    constexpr auto nan_propagation = static_cast<cudnnBackendAttributeName_t>(2);
    constexpr auto type_of_it = static_cast<cudnnBackendAttributeType_t>(10);
    const cudnnNanPropagation_t propagate = CUDNN_PROPAGATE_NAN;
    arithmetic.try_set(nan_propagation, type_of_it, 1, &propagate);
  }
  arithmetic.finalize("describing a pointwise operation");
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, arithmetic);
  set_tensors(operation, tensors);
  operation.finalize("describing a pointwise operation's tensors");
  parts_.push_back(std::move(arithmetic));
  operations_.push_back(std::move(operation));
}

void Graph::add(int a, int b, int sum) {
  pointwise(CUDNN_POINTWISE_ADD, {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a},
                                  {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b},
                                  {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, sum}});
}

void Graph::relu(int x, int y) {
  pointwise(CUDNN_POINTWISE_RELU_FWD,
            {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x}, {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y}});
}

void Graph::is_greater(int a, int b, int mask) {
  pointwise(CUDNN_POINTWISE_CMP_GT, {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a},
                                     {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b},
                                     {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, mask}});
}

void Graph::multiply(int a, int b, int product) {
  pointwise(CUDNN_POINTWISE_MUL, {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a},
                                  {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b},
                                  {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, product}});
}

void Graph::batch_norm(int x, const BatchNormTensors& t, int y) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  const cudnnBackendNormFwdPhase_t phase = CUDNN_NORM_FWD_TRAINING;
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
  operation.set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE, 1, &phase);
  set_tensors(operation, {{CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, t.scale},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, t.bias},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, t.epsilon},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, t.mean},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, t.inv_std},
                          {CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, y}});
  operation.finalize("describing a batch norm");
  operations_.push_back(std::move(operation));
}

void Graph::batch_norm_gradient(int dy, int x, const BatchNormTensors& t, int dx) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  const cudnnBackendNormMode_t mode = CUDNN_BATCH_NORM;
  operation.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE, 1, &mode);
  set_tensors(operation, {{CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, x},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, t.scale},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, t.mean},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, t.inv_std},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, t.d_scale},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, t.d_bias},
                          {CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, dx}});
  operation.finalize("describing the gradient of a batch norm");
  operations_.push_back(std::move(operation));
}

void Graph::set_tensors(Descriptor& operation,
                        std::initializer_list<std::pair<cudnnBackendAttributeName_t, int>> tensors) const {
  for (const auto& [name, id] : tensors) operation.set(name, tensors_[static_cast<std::size_t>(id)]);
}

bool Graph::finalize() {
  graph_.emplace(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& operation : operations_) raw.push_back(operation.raw());
  graph_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<std::int64_t>(raw.size()), raw.data());
  graph_->set_gpu(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, {});
  return graph_->try_finalize();
}

}  // namespace kindred::cudnn
