// The 2-d convolution (cross-correlation) of NHWC images: y[n, i, j, k] is the sum over the window of x times
// filter k.
#pragma once

#include <kindred/engine/parameters.h>

#include <string>

namespace kindred {

struct Conv2dOptions {
  std::int64_t stride = 1;   // pixels, both axes
  std::int64_t padding = 0;  // pixels of zeros on each side
};

// x[n, h, w, c], filters[k, kh, kw, c] of the same type -> [n, out_h, out_w, k], out = (in + 2 padding -
// kernel) / stride + 1. Throws Error(usage) if the window is larger than the padded image. On a GPU x may have more channels
// than the filters, up to the number that it computes with (normalize_images); they must be zero.
Tensor conv2d(const Tensor& x, const Tensor& filters, const Conv2dOptions& options);

// How the filters are initialized.
enum class Conv2dInit : std::uint8_t {
  kaiming_normal_fan_out,  // He et al. 2015, as torchvision's ResNets: deviation sqrt(2 / (k kh kw))
  pytorch_default,         // torch.nn.Conv2d: uniform in +-1 / sqrt(c kh kw)
};

// Has no bias, because a batch norm follows every convolution of a ResNet.
struct Conv2d {
  Conv2d(ParameterStore& store, const std::string& name, std::int64_t in_channels, std::int64_t out_channels,
         std::int64_t kernel, Conv2dOptions options, Conv2dInit init);
  Tensor operator()(const Tensor& x) const;  // [n, h, w, c] -> [n, out_h, out_w, k]

  std::string name;
  Conv2dOptions options;
  Parameter& weight;  // [k, kh, kw, c]
};

}  // namespace kindred
