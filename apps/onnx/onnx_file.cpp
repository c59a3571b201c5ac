#include <kindred/apps/onnx/onnx_file.h>
#include <kindred/apps/onnx/preparation.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>

#include <fmt/core.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <nlohmann/json.hpp>

#include <exception>

namespace kindred {
namespace {

constexpr int operator_set = 17;
constexpr int ir_version = 8;  // the version that belongs to operator set 17
constexpr const char* batch_name = "batch";

using Graph = detail::OnnxGraph;
using Names = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;
using detail::set;

// ---- layers; each takes the name of its input and returns the name of its output

std::string convolution(Graph& graph, const Conv2d& conv, const std::string& x) {
  const std::string weight = graph.weights(conv.weight.name, conv.weight.value);
  const std::int64_t pad = conv.options.padding;
  onnx::NodeProto& node = graph.node("Conv", conv.name, {x, weight});
  set(node, "kernel_shape", {conv.weight.shape[1], conv.weight.shape[2]});
  set(node, "strides", {conv.options.stride, conv.options.stride});
  set(node, "pads", {pad, pad, pad, pad});
  return conv.name;
}

std::string batch_norm(Graph& graph, const BatchNorm& bn, const std::string& x) {
  Names inputs{x};
  for (const Parameter* parameter : {&bn.weight, &bn.bias})
    inputs.push_back(graph.weights(parameter->name, parameter->value));
  for (const Buffer* buffer : {&bn.running_mean, &bn.running_var})
    inputs.push_back(graph.weights(buffer->name, buffer->value));
  set(graph.node("BatchNormalization", bn.name, inputs), "epsilon", batch_norm_epsilon);
  return bn.name;
}

std::string rectified(Graph& graph, const std::string& name, const std::string& x) {
  graph.node("Relu", name, {x});
  return name;
}

std::string linear(Graph& graph, const Linear& layer, const std::string& x) {
  const std::string weight = graph.weights(layer.weight.name, layer.weight.value),
                    bias = graph.weights(layer.bias.name, layer.bias.value);
  set(graph.node("Gemm", layer.name, {x, weight, bias}), "transB", std::int64_t{1});
  return layer.name;
}

// relu(inner + shortcut). The shortcut is x itself unless its shape must change.
std::string add_shortcut(Graph& graph, const std::string& block, const std::optional<Shortcut>& downsample,
                         const std::string& inner, const std::string& x) {
  const std::string shortcut =
      downsample ? batch_norm(graph, downsample->bn, convolution(graph, downsample->conv, x)) : x;
  graph.node("Add", block + ".add", {inner, shortcut});
  return rectified(graph, block + ".relu", block + ".add");
}

std::string block_name(const Conv2d& conv1) {
  return conv1.name.substr(0, conv1.name.rfind('.'));
}

std::string basic_block(Graph& graph, const BasicBlock& block, const std::string& x) {
  const std::string name = block_name(block.conv1);
  std::string y = batch_norm(graph, block.bn1, convolution(graph, block.conv1, x));
  y = rectified(graph, name + ".relu1", y);
  y = batch_norm(graph, block.bn2, convolution(graph, block.conv2, y));
  return add_shortcut(graph, name, block.downsample, y, x);
}

std::string bottleneck_block(Graph& graph, const BottleneckBlock& block, const std::string& x) {
  const std::string name = block_name(block.conv1);
  std::string y = batch_norm(graph, block.bn1, convolution(graph, block.conv1, x));
  y = rectified(graph, name + ".relu1", y);
  y = batch_norm(graph, block.bn2, convolution(graph, block.conv2, y));
  y = rectified(graph, name + ".relu2", y);
  y = batch_norm(graph, block.bn3, convolution(graph, block.conv3, y));
  return add_shortcut(graph, name, block.downsample, y, x);
}

std::string encoder(Graph& graph, const ResNet& resnet, const std::string& images) {
  std::string x = batch_norm(graph, resnet.bn1, convolution(graph, resnet.conv1, images));
  x = rectified(graph, "relu", x);
  if (resnet.stem == Stem::imagenet) {
    onnx::NodeProto& pool = graph.node("MaxPool", "maxpool", {x});
    set(pool, "kernel_shape", {3, 3});
    set(pool, "strides", {2, 2});
    set(pool, "pads", {1, 1, 1, 1});
    x = "maxpool";
  }
  for (const auto& block : resnet.blocks) {
    if (const auto* bottleneck = dynamic_cast<const BottleneckBlock*>(block.get()))
      x = bottleneck_block(graph, *bottleneck, x);
    else
      x = basic_block(graph, dynamic_cast<const BasicBlock&>(*block), x);
  }
  graph.node("GlobalAveragePool", "avgpool", {x});
  set(graph.node("Flatten", "flatten", {"avgpool"}), "axis", std::int64_t{1});
  return "flatten";
}

// Unit rows: y / max(|y|, shortest).
void projection_head(Graph& graph, const ProjectionHead& head, std::string x) {
  if (head.hidden) x = rectified(graph, "head.1", linear(graph, *head.hidden, x));
  if (head.output) x = linear(graph, *head.output, x);
  onnx::NodeProto& norm = graph.node("ReduceL2", "head.norm", {x});
  set(norm, "axes", Integers{1});
  set(norm, "keepdims", std::int64_t{1});
  const float shortest = static_cast<float>(l2_normalize_shortest);
  graph.node(
      "Max", "head.length",
      {"head.norm", graph.weights("head.shortest", Tensor::full({1}, shortest, DType::f32, Device::cpu))});
  graph.node("Div", "head.unit", {x, "head.length"});
}

void describe_tensor(onnx::ValueInfoProto& value, const char* name, const Integers& extents) {
  value.set_name(name);
  onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param(batch_name);
  for (const std::int64_t extent : extents) type.mutable_shape()->add_dim()->set_dim_value(extent);
}

// Pictures of any size, each batch of one.
void describe_pictures(onnx::ValueInfoProto& value, const char* name) {
  value.set_name(name);
  onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::UINT8);
  for (const char* extent : {batch_name, "height", "width"})
    type.mutable_shape()->add_dim()->set_dim_param(extent);
  type.mutable_shape()->add_dim()->set_dim_value(3);
}

// The text of the metadata: what the caller has to do with images.
std::string preparation_note(const EncoderInfo& info, bool in_graph) {
  const std::string all = preparation_text(info.image_size, info.resize, info.exif);
  return in_graph
             ? fmt::format("the graph takes pixels of any size and does all of this but EXIF orientations: {}",
                           all)
             : all;
}

onnx::ModelProto build(const LoadedModel& model, bool with_preparation) {
  const EncoderInfo& info = model.info.encoder;
  onnx::ModelProto file;
  file.set_ir_version(ir_version);
  file.set_producer_name("kindred");
  onnx::OperatorSetIdProto& operators = *file.add_opset_import();
  operators.set_domain("");
  operators.set_version(operator_set);
  const auto note = [&](const char* key, const std::string& text) {
    onnx::StringStringEntryProto& entry = *file.add_metadata_props();
    entry.set_key(key);
    entry.set_value(text);
  };
  note("model", info.model);
  note("stem", name(info.stem));
  note("image_size", std::to_string(info.image_size));
  note("pixel_mean", json_text(info.pixels.mean));
  note("pixel_std", json_text(info.pixels.deviation));
  note("resize", name_of(resize_names, info.resize));
  note("exif", name_of(exif_names, info.exif));
  note("preparation", preparation_note(info, with_preparation));
  if (model.classifier) note("classes", json_text(model.class_names));

  onnx::GraphProto& proto = *file.mutable_graph();
  proto.set_name(info.model);
  Graph graph(proto);
  std::string images = "images";
  if (with_preparation) {
    describe_pictures(*proto.add_input(), "images");
    images = detail::add_preparation(graph, info, images);
  } else {
    describe_tensor(*proto.add_input(), "images", {3, info.image_size, info.image_size});
  }
  const std::string features = encoder(graph, *model.encoder, images);
  const char* output = "features";
  std::int64_t width = model.encoder->feature_dim;
  if (model.head) {
    projection_head(graph, *model.head, features);
    output = "embeddings";
    width = model.head->dim;
  } else if (model.classifier) {
    linear(graph, *model.classifier, features);
    output = "logits";
    width = model.classifier->bias.shape[0];
  }
  graph.rename_last(output);
  describe_tensor(*proto.add_output(), output, {width});
  return file;
}

// The caller is protobuf's code: an Error must not pass through it, least of all from a destructor.
class AtomicStream : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit AtomicStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* data, int bytes) override {
    if (problem) return false;
    try {
      file_.write(data, static_cast<std::size_t>(bytes));
    } catch (...) {
      problem = std::current_exception();
    }
    return !problem;
  }
  std::exception_ptr problem;

 private:
  AtomicFile& file_;
};

}  // namespace

void require_onnx() {}

void write_onnx(const std::filesystem::path& path, const LoadedModel& model, bool with_preparation) {
  const onnx::ModelProto built = build(model, with_preparation);
  try {
    onnx::checker::check_model(built);
  } catch (const std::exception& error) {
    fail(ExitCode::internal, "the graph is not what onnx accepts: {}", error.what());
  }
  AtomicFile file(path);
  AtomicStream stream(file);
  bool written = false;
  {
    google::protobuf::io::CopyingOutputStreamAdaptor adaptor(&stream);
    written = built.SerializeToZeroCopyStream(&adaptor) && adaptor.Flush();
  }
  if (stream.problem) std::rethrow_exception(stream.problem);
  check(written, ExitCode::internal, "{}: protobuf could not write the graph", path.string());
  file.commit();
}

}  // namespace kindred
