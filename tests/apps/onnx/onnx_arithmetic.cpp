#include "onnx_arithmetic.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>

namespace kindred {
namespace {

using Extents = std::vector<std::int64_t>;

std::size_t product_of(const Extents& shape) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

// `shape` with ones in front, so that it has `rank` extents.
Extents widened(Extents shape, std::size_t rank) {
  shape.insert(shape.begin(), rank - shape.size(), 1);
  return shape;
}

// The index into a tensor of `shape` of element number `flat` of a tensor of `result`, to which it is broadcast.
std::size_t broadcast_index(std::size_t flat, const Extents& result, const Extents& shape) {
  std::size_t index = 0, stride = 1;
  for (std::size_t axis = result.size(); axis-- > 0;) {
    const auto place = flat % static_cast<std::size_t>(result[axis]);
    flat /= static_cast<std::size_t>(result[axis]);
    if (shape[axis] != 1) index += place * stride;
    stride *= static_cast<std::size_t>(shape[axis]);
  }
  return index;
}

Extents common_shape(const Extents& a, const Extents& b) {
  Extents result;
  for (std::size_t axis = 0; axis < a.size(); ++axis) {
    REQUIRE((a[axis] == b[axis] || a[axis] == 1 || b[axis] == 1));
    result.push_back(std::max(a[axis], b[axis]));
  }
  return result;
}

OnnxTensor of_pairs(const OnnxTensor& a, const OnnxTensor& b, const std::function<float(float, float)>& f) {
  const std::size_t rank = std::max(a.shape.size(), b.shape.size());
  const Extents a_shape = widened(a.shape, rank), b_shape = widened(b.shape, rank);
  OnnxTensor result{common_shape(a_shape, b_shape), {}};
  for (std::size_t i = 0; i < product_of(result.shape); ++i)
    result.values.push_back(f(a.values[broadcast_index(i, result.shape, a_shape)],
                              b.values[broadcast_index(i, result.shape, b_shape)]));
  return result;
}

OnnxTensor of_each(OnnxTensor x, float (*f)(float)) {
  for (float& value : x.values) value = f(value);
  return x;
}

// [..., rows, inner] by [..., inner, columns]; the extents in front are broadcast.
OnnxTensor matrix_product(const OnnxTensor& a, const OnnxTensor& b) {
  const std::size_t rank = std::max(a.shape.size(), b.shape.size());
  Extents a_front = widened(a.shape, rank), b_front = widened(b.shape, rank);
  const auto rows = static_cast<std::size_t>(a_front[rank - 2]),
             inner = static_cast<std::size_t>(a_front[rank - 1]),
             columns = static_cast<std::size_t>(b_front[rank - 1]);
  REQUIRE(static_cast<std::size_t>(b_front[rank - 2]) == inner);
  a_front.resize(rank - 2);
  b_front.resize(rank - 2);
  OnnxTensor result{common_shape(a_front, b_front), {}};
  const Extents front = result.shape;
  for (std::size_t matrix = 0; matrix < product_of(front); ++matrix) {
    const float* left = a.values.data() + broadcast_index(matrix, front, a_front) * rows * inner;
    const float* right = b.values.data() + broadcast_index(matrix, front, b_front) * inner * columns;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < inner; ++k) sum += double(left[i * inner + k]) * right[k * columns + j];
        result.values.push_back(static_cast<float>(sum));
      }
  }
  result.shape.push_back(static_cast<std::int64_t>(rows));
  result.shape.push_back(static_cast<std::int64_t>(columns));
  return result;
}

OnnxTensor transposed(const OnnxTensor& x, const Extents& order) {
  const std::size_t rank = x.shape.size();
  std::vector<std::size_t> strides(rank, 1);
  for (std::size_t axis = rank - 1; axis-- > 0;)
    strides[axis] = strides[axis + 1] * static_cast<std::size_t>(x.shape[axis + 1]);
  OnnxTensor result;
  for (const std::int64_t axis : order) result.shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    std::size_t rest = i, from = 0;
    for (std::size_t axis = rank; axis-- > 0;) {
      from +=
          rest % static_cast<std::size_t>(result.shape[axis]) * strides[static_cast<std::size_t>(order[axis])];
      rest /= static_cast<std::size_t>(result.shape[axis]);
    }
    result.values.push_back(x.values[from]);
  }
  return result;
}

OnnxTensor sum_of_rows(const OnnxNode& node, const OnnxTensor& x, const OnnxTensor& axes) {
  REQUIRE(x.shape.size() == 2);
  REQUIRE(axes.values == std::vector<float>{1});
  REQUIRE(node.integers.at("keepdims")[0] == 1);
  const auto width = static_cast<std::size_t>(x.shape[1]);
  OnnxTensor result{{x.shape[0], 1}, {}};
  for (std::size_t i = 0; i < x.values.size(); i += width) {
    double sum = 0;
    for (std::size_t d = 0; d < width; ++d) sum += x.values[i + d];
    result.values.push_back(static_cast<float>(sum));
  }
  return result;
}

OnnxTensor shape_of(const OnnxTensor& x) {
  OnnxTensor result{{static_cast<std::int64_t>(x.shape.size())}, {}};
  for (const std::int64_t extent : x.shape) result.values.push_back(static_cast<float>(extent));
  return result;
}

OnnxTensor range(float first, float end, float step) {
  OnnxTensor result;
  for (float value = first; value < end; value += step) result.values.push_back(value);
  result.shape = {static_cast<std::int64_t>(result.values.size())};
  return result;
}

}  // namespace

std::optional<OnnxTensor> run_arithmetic(const OnnxNode& node, const std::vector<OnnxTensor>& in) {
  const std::string& name = node.operation;
  const std::map<std::string, std::function<float(float, float)>> pairs = {
      {"Add", [](float a, float b) { return a + b; }},
      {"Sub", [](float a, float b) { return a - b; }},
      {"Mul", [](float a, float b) { return a * b; }},
      {"Div", [](float a, float b) { return a / b; }},
      {"Min", [](float a, float b) { return std::min(a, b); }},
      {"Max", [](float a, float b) { return std::max(a, b); }}};
  if (const auto pair = pairs.find(name); pair != pairs.end()) return of_pairs(in[0], in[1], pair->second);
  if (name == "Abs") return of_each(in[0], [](float x) { return std::abs(x); });
  if (name == "Floor") return of_each(in[0], [](float x) { return std::floor(x); });
  if (name == "Round") return of_each(in[0], [](float x) { return std::nearbyint(x); });
  if (name == "MatMul") return matrix_product(in[0], in[1]);
  if (name == "Transpose") return transposed(in[0], node.integers.at("perm"));
  if (name == "ReduceSum") return sum_of_rows(node, in[0], in[1]);
  if (name == "Shape") return shape_of(in[0]);
  if (name == "Range") return range(in[0].values[0], in[1].values[0], in[2].values[0]);
  if (name == "Gather") {
    const float value = in[0].values[static_cast<std::size_t>(in[1].values[0])];
    return OnnxTensor{in[1].shape, {value}};
  }
  if (name == "Squeeze") {
    OnnxTensor result = in[0];
    std::erase(result.shape, 1);
    return result;
  }
  if (name == "Cast") {
    REQUIRE(node.integers.at("to")[0] == 1);  // to float
    return in[0];
  }
  return std::nullopt;
}

}  // namespace kindred
