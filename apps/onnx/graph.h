// Nodes and constants of an ONNX graph. Internal to apps/onnx, whose sources are compiled only where libonnx is.
#pragma once

#include <kindred/models/file_order.h>

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred::detail {

// Appends nodes. Each node produces one tensor, which has the name of the node.
class OnnxGraph {
 public:
  explicit OnnxGraph(onnx::GraphProto& graph) : graph_(graph) {}

  onnx::NodeProto& node(const char* operation, const std::string& name,
                        const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = *graph_.add_node();
    node.set_op_type(operation);
    node.set_name(name);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(name);
    last_ = &node;
    return node;
  }

  // Adds the weights under their own name, in the element order of files.
  std::string weights(const std::string& name, const Tensor& value) {
    return numbers(name, file_shape(value.shape()), to_file_order<float>(value));
  }

  // Constants; a shape without extents is a single number.
  std::string numbers(const std::string& name, const std::vector<std::int64_t>& shape,
                      const std::vector<float>& values) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t extent : shape) tensor.add_dims(extent);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return name;
  }
  std::string number(const std::string& name, float value) { return numbers(name, {}, {value}); }
  std::string integers(const std::string& name, const std::vector<std::int64_t>& values) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<std::int64_t>(values.size()));
    tensor.set_raw_data(values.data(), values.size() * sizeof(std::int64_t));
    return name;
  }

  void rename_last(const std::string& name) { last_->set_output(0, name); }

 private:
  onnx::GraphProto& graph_;
  onnx::NodeProto* last_ = nullptr;
};

inline void set(onnx::NodeProto& node, const char* name, const std::vector<std::int64_t>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
}

inline void set(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

inline void set(onnx::NodeProto& node, const char* name, double value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(static_cast<float>(value));
}

}  // namespace kindred::detail
