#include "onnx_arithmetic.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

namespace kindred {
namespace {

// Protobuf's wire format: (number << 3 | kind), then a varint (kind 0), 8 bytes (1), a length and that many
// bytes (2), or 4 bytes (5). visit(number, value of a varint, bytes otherwise).
std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    REQUIRE(!bytes.empty());
    const auto byte = static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 127u} << shift;
    if (byte < 128) return value;
  }
}

template <typename Visit>
void for_each_field(std::string_view bytes, Visit&& visit) {
  while (!bytes.empty()) {
    const std::uint64_t tag = take_varint(bytes), kind = tag & 7;
    std::uint64_t length = kind == 1 ? 8 : kind == 5 ? 4 : 0, value = 0;
    if (kind == 0) value = take_varint(bytes);
    if (kind == 2) length = take_varint(bytes);
    REQUIRE(length <= bytes.size());
    visit(tag >> 3, value, bytes.substr(0, length), kind);
    bytes.remove_prefix(length);
  }
}

// Repeated integers may be single or packed.
void take_integers(std::vector<std::int64_t>& into, std::uint64_t value, std::string_view bytes,
                   std::uint64_t kind) {
  if (kind == 0) return into.push_back(static_cast<std::int64_t>(value));
  while (!bytes.empty()) into.push_back(static_cast<std::int64_t>(take_varint(bytes)));
}

void read_attribute(std::string_view bytes, OnnxNode& node) {
  std::string name;
  std::vector<std::int64_t> integers;
  float number = std::numeric_limits<float>::quiet_NaN();
  for_each_field(bytes,
                 [&](std::uint64_t field, std::uint64_t value, std::string_view content, std::uint64_t kind) {
                   if (field == 1) name = content;
                   if (field == 2) std::memcpy(&number, content.data(), sizeof number);
                   if (field == 3) integers = {static_cast<std::int64_t>(value)};
                   if (field == 8) take_integers(integers, value, content, kind);
                 });
  if (!integers.empty()) node.integers[name] = integers;
  if (!std::isnan(number)) node.floats[name] = number;
}

OnnxNode read_node(std::string_view bytes) {
  OnnxNode node;
  for_each_field(bytes, [&](std::uint64_t field, std::uint64_t, std::string_view content, std::uint64_t) {
    if (field == 1) node.inputs.emplace_back(content);
    if (field == 2) node.outputs.emplace_back(content);
    if (field == 3) node.name = content;
    if (field == 4) node.operation = content;
    if (field == 5) read_attribute(content, node);
  });
  return node;
}

std::pair<std::string, OnnxTensor> read_weights(std::string_view bytes) {
  constexpr std::uint64_t int64 = 7;  // TensorProto.DataType
  std::string name;
  std::uint64_t type = 0;
  OnnxTensor tensor;
  for_each_field(bytes,
                 [&](std::uint64_t field, std::uint64_t value, std::string_view content, std::uint64_t kind) {
                   if (field == 1) take_integers(tensor.shape, value, content, kind);
                   if (field == 2) type = value;
                   if (field == 8) name = content;
                   if (field == 9 && type == int64) {
                     std::vector<std::int64_t> integers(content.size() / sizeof(std::int64_t));
                     std::memcpy(integers.data(), content.data(), content.size());
                     for (const std::int64_t each : integers) tensor.values.push_back(static_cast<float>(each));
                   } else if (field == 9) {
                     tensor.values.resize(content.size() / sizeof(float));
                     std::memcpy(tensor.values.data(), content.data(), content.size());
                   }
                 });
  return {name, tensor};
}

// ---- the operations, after onnx/docs/Operators.md

std::int64_t slid(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return (size + 2 * pad - kernel) / stride + 1;
}

// Calls body(n, channel, out_y, out_x, from_y, from_x) for every result; the window begins at from.
template <typename Body>
OnnxTensor slide(const OnnxTensor& x, std::int64_t channels, const OnnxNode& node, Body&& body) {
  const std::int64_t kernel = node.integers.at("kernel_shape")[0], stride = node.integers.at("strides")[0];
  const std::int64_t pad = node.integers.at("pads")[0];
  const std::int64_t height = slid(x.shape[2], kernel, stride, pad),
                     width = slid(x.shape[3], kernel, stride, pad);
  OnnxTensor y{{x.shape[0], channels, height, width}, {}};
  for (std::int64_t n = 0; n < x.shape[0]; ++n)
    for (std::int64_t k = 0; k < channels; ++k)
      for (std::int64_t row = 0; row < height; ++row)
        for (std::int64_t column = 0; column < width; ++column)
          y.values.push_back(body(n, k, row * stride - pad, column * stride - pad));
  return y;
}

OnnxTensor convolution(const OnnxNode& node, const OnnxTensor& x, const OnnxTensor& w) {
  const std::int64_t channels = w.shape[1], kernel = w.shape[2], height = x.shape[2], width = x.shape[3];
  REQUIRE(node.integers.at("kernel_shape")[0] == kernel);
  return slide(x, w.shape[0], node, [&](auto n, auto k, auto top, auto left) {
    float sum = 0;
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = std::max<std::int64_t>(0, -top); i < std::min(kernel, height - top); ++i)
        for (std::int64_t j = std::max<std::int64_t>(0, -left); j < std::min(kernel, width - left); ++j)
          sum += w.values[static_cast<std::size_t>(((k * channels + c) * kernel + i) * kernel + j)] *
                 x.values[static_cast<std::size_t>(((n * channels + c) * height + top + i) * width + left + j)];
    return sum;
  });
}

OnnxTensor largest(const OnnxNode& node, const OnnxTensor& x) {
  const std::int64_t channels = x.shape[1], height = x.shape[2], width = x.shape[3];
  const std::int64_t kernel = node.integers.at("kernel_shape")[0];
  return slide(x, channels, node, [&](auto n, auto c, auto top, auto left) {
    float most = -std::numeric_limits<float>::infinity();
    for (std::int64_t i = std::max<std::int64_t>(0, -top); i < std::min(kernel, height - top); ++i)
      for (std::int64_t j = std::max<std::int64_t>(0, -left); j < std::min(kernel, width - left); ++j)
        most = std::max(
            most,
            x.values[static_cast<std::size_t>(((n * channels + c) * height + top + i) * width + left + j)]);
    return most;
  });
}

// Applies f(value, channel) to every element of [n, channels, ...].
template <typename Function>
OnnxTensor by_channel(OnnxTensor x, Function&& f) {
  const auto channels = static_cast<std::size_t>(x.shape[1]);
  const std::size_t inner = x.values.size() / (static_cast<std::size_t>(x.shape[0]) * channels);
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] = f(x.values[i], i / inner % channels);
  return x;
}

OnnxTensor mean_of_places(const OnnxTensor& x) {
  const auto places = static_cast<std::size_t>(x.shape[2] * x.shape[3]);
  OnnxTensor y{{x.shape[0], x.shape[1], 1, 1}, {}};
  for (std::size_t i = 0; i < x.values.size(); i += places) {
    double sum = 0;
    for (std::size_t p = 0; p < places; ++p) sum += x.values[i + p];
    y.values.push_back(static_cast<float>(sum / static_cast<double>(places)));
  }
  return y;
}

// x [n, in] by w [out, in], plus b [out].
OnnxTensor product(const OnnxTensor& x, const OnnxTensor& w, const OnnxTensor& b) {
  OnnxTensor y{{x.shape[0], w.shape[0]}, {}};
  const auto in = static_cast<std::size_t>(w.shape[1]), out = static_cast<std::size_t>(w.shape[0]);
  for (std::size_t n = 0; n < static_cast<std::size_t>(x.shape[0]); ++n)
    for (std::size_t o = 0; o < out; ++o) {
      double sum = b.values[o];
      for (std::size_t i = 0; i < in; ++i) sum += double(x.values[n * in + i]) * w.values[o * in + i];
      y.values.push_back(static_cast<float>(sum));
    }
  return y;
}

OnnxTensor run_node(const OnnxNode& node, const std::vector<OnnxTensor>& in) {
  if (node.operation == "Conv") return convolution(node, in[0], in[1]);
  if (node.operation == "BatchNormalization")
    return by_channel(in[0], [&](float x, std::size_t c) {
      return (x - in[3].values[c]) / std::sqrt(in[4].values[c] + node.floats.at("epsilon")) * in[1].values[c] +
             in[2].values[c];
    });
  if (node.operation == "Relu")
    return by_channel(in[0], [](float x, std::size_t) { return std::max(x, 0.0f); });
  if (node.operation == "MaxPool") return largest(node, in[0]);
  if (node.operation == "GlobalAveragePool") return mean_of_places(in[0]);
  if (node.operation == "Flatten") return {{in[0].shape[0], in[0].shape[1]}, in[0].values};
  if (node.operation == "Gemm") {
    REQUIRE(node.integers.at("transB")[0] == 1);
    return product(in[0], in[1], in[2]);
  }
  if (std::optional<OnnxTensor> result = run_arithmetic(node, in)) return *result;
  OnnxTensor result;
  if (node.operation == "ReduceL2") {
    const std::size_t width = in[0].values.size() / static_cast<std::size_t>(in[0].shape[0]);
    result = {{in[0].shape[0], 1}, {}};
    for (std::size_t i = 0; i < in[0].values.size(); i += width) {
      double squares = 0;
      for (std::size_t d = 0; d < width; ++d) squares += double(in[0].values[i + d]) * in[0].values[i + d];
      result.values.push_back(static_cast<float>(std::sqrt(squares)));
    }
  } else {
    FAIL("an operation that this reader does not know: ", node.operation);
  }
  return result;
}

}  // namespace

OnnxFile::OnnxFile(const std::string& bytes) {
  for_each_field(bytes, [&](std::uint64_t number, std::uint64_t, std::string_view content, std::uint64_t) {
    if (number == 8)  // ModelProto.opset_import
      for_each_field(content, [&](std::uint64_t n, std::uint64_t v, std::string_view, std::uint64_t) {
        if (n == 2) operator_set = v;
      });
    if (number == 14) {  // ModelProto.metadata_props
      std::string key, value;
      for_each_field(content, [&](std::uint64_t n, std::uint64_t, std::string_view text, std::uint64_t) {
        (n == 1 ? key : value) = text;
      });
      metadata[key] = value;
    }
    if (number != 7) return;  // ModelProto.graph
    for_each_field(content, [&](std::uint64_t in_graph, std::uint64_t, std::string_view part, std::uint64_t) {
      if (in_graph == 1) nodes.push_back(read_node(part));
      if (in_graph == 5) weights.insert(read_weights(part));
    });
  });
}

int OnnxFile::count(const std::string& operation) const {
  return static_cast<int>(std::count_if(nodes.begin(), nodes.end(),
                                        [&](const OnnxNode& node) { return node.operation == operation; }));
}

OnnxTensor OnnxFile::run(const OnnxTensor& images) const {
  return result_of(nodes.back().outputs.at(0), images);
}

OnnxTensor OnnxFile::prepared(const OnnxTensor& images) const {
  const auto first =
      std::find_if(nodes.begin(), nodes.end(), [](const OnnxNode& node) { return node.operation == "Conv"; });
  REQUIRE(first != nodes.end());
  return result_of(first->inputs.at(0), images);
}

OnnxTensor OnnxFile::result_of(const std::string& name, const OnnxTensor& images) const {
  std::map<std::string, OnnxTensor> known = weights;
  known["images"] = images;
  for (const OnnxNode& node : nodes) {
    if (known.contains(name)) break;
    std::vector<OnnxTensor> inputs;
    for (const std::string& input : node.inputs) inputs.push_back(known.at(input));
    known[node.outputs.at(0)] = run_node(node, inputs);
  }
  return known.at(name);
}

}  // namespace kindred
