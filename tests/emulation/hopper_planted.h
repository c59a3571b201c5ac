// Kernels for Hopper with an error that the emulation must find, and their neighbours without one (planted.h).
#pragma once

#include <kindred/engine/tensor.h>

#include <string>
#include <vector>

namespace kindred::planted {

struct HopperKernel {
  std::string name;
  // a[64, 64] and b[64, 64] bf16, d[64, 64] f32, all on device cuda.
  void (*start)(const Tensor& a, const Tensor& b, Output d);
  // What shows the error: required parts of a message, or else, in some orders at least, a wrong d.
  std::vector<std::string> message = {};
  bool wrong = false;  // neither: d = a b^T, exactly for small whole numbers
};

const std::vector<HopperKernel>& hopper_kernels();

}  // namespace kindred::planted
