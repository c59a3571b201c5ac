// Residual networks (He et al. 2015, arXiv 1512.03385) that map images to feature vectors.
//
//   resnet18, 34           two 3x3 convolutions per block, widths 64 to 512
//   resnet50, 101, 152     bottleneck blocks; the stride is on the 3x3 convolution ("v1.5", as in torchvision)
//   resnet20, 32, 44, 56   the paper's CIFAR family (section 4.2): widths 16, 32, 64; projection shortcuts
//
// Parameters have torchvision's names. The classifier is not part of the encoder.
#pragma once

#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/models/choices.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct ResNetSpec {
  std::string name;
  bool bottleneck;
  std::vector<int> depths;  // blocks in each stage
  std::int64_t width;       // channels of the first stage
  Conv2dInit init;
};

// Throws Error(usage), which lists the known names, for an unknown one.
const ResNetSpec& resnet_spec(const std::string& model);
std::vector<std::string> resnet_names();

// The stages of a model, from its input on: "stem", "layer1", ..., and "encoder", which means all of them.
std::vector<std::string> freezable_stages(const ResNetSpec& spec);
// How many stages freeze_until(stage) freezes. "conv1" is another name of the stem. Throws Error(usage).
std::size_t frozen_stages(const ResNetSpec& spec, const std::string& stage);

// The 1x1 convolution that gives a shortcut the shape of the tensor it is added to.
struct Shortcut {
  Shortcut(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
           std::int64_t stride, Conv2dInit init);
  Tensor operator()(const Tensor& x, Mode mode) const;

  Conv2d conv;   // name.0
  BatchNorm bn;  // name.1
};

struct ResidualBlock {
  virtual ~ResidualBlock() = default;
  virtual Tensor operator()(const Tensor& x,
                            Mode mode) const = 0;  // [n, h, w, in] -> [n, h/stride, w/stride, out]
};

struct BasicBlock : ResidualBlock {
  BasicBlock(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t width,
             std::int64_t stride, Conv2dInit init);
  Tensor operator()(const Tensor& x, Mode mode) const override;

  Conv2d conv1;
  BatchNorm bn1;
  Conv2d conv2;
  BatchNorm bn2;
  std::optional<Shortcut> downsample;
};

struct BottleneckBlock : ResidualBlock {
  static constexpr std::int64_t expansion = 4;
  BottleneckBlock(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t width,
                  std::int64_t stride, Conv2dInit init);
  Tensor operator()(const Tensor& x, Mode mode) const override;

  Conv2d conv1;
  BatchNorm bn1;
  Conv2d conv2;
  BatchNorm bn2;
  Conv2d conv3;
  BatchNorm bn3;
  std::optional<Shortcut> downsample;
};

struct ResNet {
  ResNet(ParameterStore& store, const ResNetSpec& spec, Stem stem);

  // Normalized images [n, h, w, 3] -> features [n, feature_dim]. Throws Error(usage) if the image is too small.
  Tensor operator()(const Tensor& images, Mode mode) const;

  // The same as a chain of segments: the stem, each block, and the pooling. A frozen segment runs in evaluation mode,
  // whatever `mode` is, and records nothing.
  std::size_t segments() const { return blocks.size() + 2; }
  Tensor segment(std::size_t index, const Tensor& x, Mode mode) const;

  // Freezes the first stages, up to and including this one (freezable_stages): batch norms use and keep their running
  // statistics, and no gradient is computed there. An optimizer must leave out the parameters for which is_frozen()
  // is true. Throws Error(usage), which lists the stages, for an unknown one.
  void freeze_until(const std::string& stage);
  void freeze_like(const ResNet& other);  // of the same model
  bool is_frozen(const std::string& parameter) const;
  std::size_t frozen_segments() const { return frozen_segments_; }

  std::string model;
  Stem stem;
  Conv2d conv1;
  BatchNorm bn1;
  std::vector<std::unique_ptr<ResidualBlock>> blocks;  // all stages, in order
  std::int64_t feature_dim;

 private:
  Tensor run_segment(std::size_t index, const Tensor& x, Mode mode) const;

  std::size_t frozen_stages_ = 0;    // 1: the stem; 2: also layer1; ...
  std::size_t frozen_segments_ = 0;  // the first ones
};

}  // namespace kindred
