#include <kindred/engine/names.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/pooling/pooling.h>
#include <kindred/models/resnet.h>
#include <kindred/models/weight_names.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <string_view>

namespace kindred {
namespace {

// Depths from tables 1 and 6 of the paper; 6n + 2 layers in the CIFAR family.
const std::vector<ResNetSpec>& known_specs() {
  using enum Conv2dInit;
  static const std::vector<ResNetSpec> specs = {
      {"resnet18", false, {2, 2, 2, 2}, 64, kaiming_normal_fan_out},
      {"resnet34", false, {3, 4, 6, 3}, 64, kaiming_normal_fan_out},
      {"resnet50", true, {3, 4, 6, 3}, 64, kaiming_normal_fan_out},
      {"resnet101", true, {3, 4, 23, 3}, 64, kaiming_normal_fan_out},
      {"resnet152", true, {3, 8, 36, 3}, 64, kaiming_normal_fan_out},
      {"resnet20", false, {3, 3, 3}, 16, pytorch_default},
      {"resnet32", false, {5, 5, 5}, 16, pytorch_default},
      {"resnet44", false, {7, 7, 7}, 16, pytorch_default},
      {"resnet56", false, {9, 9, 9}, 16, pytorch_default},
  };
  return specs;
}

Conv2d stem_convolution(ParameterStore& store, const ResNetSpec& spec, Stem stem) {
  if (stem == Stem::imagenet) return Conv2d(store, "conv1", 3, spec.width, 7, {2, 3}, spec.init);
  return Conv2d(store, "conv1", 3, spec.width, 3, {1, 1}, spec.init);
}

std::optional<Shortcut> shortcut_if_needed(ParameterStore& store, const std::string& block, std::int64_t in,
                                           std::int64_t out, std::int64_t stride, Conv2dInit init) {
  if (in == out && stride == 1) return std::nullopt;
  return std::optional<Shortcut>(std::in_place, store, block + ".downsample", in, out, stride, init);
}

}  // namespace

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  for (const ResNetSpec& spec : known_specs()) names.push_back(spec.name);
  return names;
}

const ResNetSpec& resnet_spec(const std::string& model) {
  if (const ResNetSpec* spec = entry_named(known_specs(), model)) return *spec;
  fail(ExitCode::usage, "unknown model {}; use one of {}", model, names_of(known_specs()));
}

std::vector<std::string> freezable_stages(const ResNetSpec& spec) {
  std::vector<std::string> stages = {"stem"};
  for (std::size_t stage = 1; stage <= spec.depths.size(); ++stage)
    stages.push_back(fmt::format("layer{}", stage));
  stages.emplace_back("encoder");
  return stages;
}

std::size_t frozen_stages(const ResNetSpec& spec, const std::string& stage) {
  const std::vector<std::string> stages = freezable_stages(spec);
  const std::size_t all = stages.size() - 1;
  for (std::size_t i = 0; i < all; ++i)
    if (stage == stages[i]) return i + 1;
  if (stage == "conv1") return 1;
  check(stage == stages.back(), ExitCode::usage, "{} has no stage called {}; use one of {}", spec.name, stage,
        fmt::join(stages, ", "));
  return all;
}

Shortcut::Shortcut(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                   std::int64_t stride, Conv2dInit init)
    : conv(store, name + ".0", in, out, 1, {stride, 0}, init), bn(store, name + ".1", out) {}

Tensor Shortcut::operator()(const Tensor& x, Mode mode) const {
  return bn(conv(x), mode);
}

BasicBlock::BasicBlock(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t width,
                       std::int64_t stride, Conv2dInit init)
    : conv1(store, name + ".conv1", in, width, 3, {stride, 1}, init),
      bn1(store, name + ".bn1", width),
      conv2(store, name + ".conv2", width, width, 3, {1, 1}, init),
      bn2(store, name + ".bn2", width),
      downsample(shortcut_if_needed(store, name, in, width, stride, init)) {}

Tensor BasicBlock::operator()(const Tensor& x, Mode mode) const {
  const Tensor shortcut = downsample ? (*downsample)(x, mode) : x;  // [n, h/stride, w/stride, width]
  const Tensor inner = bn1.with_relu(conv1(x), mode);               // [n, h/stride, w/stride, width]
  return bn2.with_residual_and_relu(conv2(inner), shortcut, mode);
}

BottleneckBlock::BottleneckBlock(ParameterStore& store, const std::string& name, std::int64_t in,
                                 std::int64_t width, std::int64_t stride, Conv2dInit init)
    : conv1(store, name + ".conv1", in, width, 1, {1, 0}, init),
      bn1(store, name + ".bn1", width),
      conv2(store, name + ".conv2", width, width, 3, {stride, 1}, init),
      bn2(store, name + ".bn2", width),
      conv3(store, name + ".conv3", width, width * expansion, 1, {1, 0}, init),
      bn3(store, name + ".bn3", width * expansion),
      downsample(shortcut_if_needed(store, name, in, width * expansion, stride, init)) {}

Tensor BottleneckBlock::operator()(const Tensor& x, Mode mode) const {
  const Tensor shortcut = downsample ? (*downsample)(x, mode) : x;  // [n, h/stride, w/stride, 4 width]
  const Tensor reduced = bn1.with_relu(conv1(x), mode);             // [n, h, w, width]
  const Tensor inner = bn2.with_relu(conv2(reduced), mode);         // [n, h/stride, w/stride, width]
  return bn3.with_residual_and_relu(conv3(inner), shortcut, mode);
}

ResNet::ResNet(ParameterStore& store, const ResNetSpec& spec, Stem stem_kind)
    : model(spec.name),
      stem(stem_kind),
      conv1(stem_convolution(store, spec, stem_kind)),
      bn1(store, "bn1", spec.width),
      feature_dim(spec.width) {
  std::int64_t width = spec.width;
  for (std::size_t stage = 0; stage < spec.depths.size(); ++stage, width *= 2)
    for (int i = 0; i < spec.depths[stage]; ++i) {
      const std::string block = fmt::format("layer{}.{}", stage + 1, i);
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      if (spec.bottleneck) {
        blocks.push_back(
            std::make_unique<BottleneckBlock>(store, block, feature_dim, width, stride, spec.init));
        feature_dim = width * BottleneckBlock::expansion;
      } else {
        blocks.push_back(std::make_unique<BasicBlock>(store, block, feature_dim, width, stride, spec.init));
        feature_dim = width;
      }
    }
}

void ResNet::freeze_until(const std::string& stage) {
  const std::vector<int>& depths = resnet_spec(model).depths;
  frozen_stages_ = frozen_stages(resnet_spec(model), stage);
  frozen_segments_ = 1;
  for (std::size_t i = 1; i < frozen_stages_; ++i) frozen_segments_ += static_cast<std::size_t>(depths[i - 1]);
  if (frozen_stages_ > depths.size()) frozen_segments_ = segments();  // with the pooling
}

void ResNet::freeze_like(const ResNet& other) {
  frozen_stages_ = other.frozen_stages_;
  frozen_segments_ = other.frozen_segments_;
}

bool ResNet::is_frozen(const std::string& parameter) const {
  constexpr std::string_view layer = "layer";
  if (!belongs_to_encoder(parameter)) return false;
  const bool is_of_stem = !parameter.starts_with(layer);
  const std::size_t stage =
      is_of_stem ? 0 : static_cast<std::size_t>(parameter[layer.size()] - '0');  // "layer2.0.bn1"
  return stage < frozen_stages_;
}

Tensor ResNet::segment(std::size_t index, const Tensor& x, Mode mode) const {
  if (index >= frozen_segments_) return run_segment(index, x, mode);
  const NoGrad no_grad;
  return run_segment(index, x, Mode::evaluate);
}

Tensor ResNet::run_segment(std::size_t index, const Tensor& x, Mode mode) const {
  if (index == 0) {
    const Tensor y = bn1.with_relu(conv1(x), mode);
    return stem == Stem::imagenet ? max_pool2d(y, 3, 2, 1) : y;
  }
  if (index <= blocks.size()) return (*blocks[index - 1])(x, mode);
  return global_average_pool(x);  // [n, feature_dim]
}

Tensor ResNet::operator()(const Tensor& images, Mode mode) const {
  Tensor x = images;
  for (std::size_t index = 0; index < segments(); ++index) x = segment(index, x, mode);
  return x;
}

}  // namespace kindred
