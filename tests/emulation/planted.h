// Kernels with an error that the emulation of CUDA must find, and their neighbours without one.
#pragma once

#include <kindred/engine/tensor.h>

#include <string>
#include <vector>

namespace kindred::planted {

struct Kernel {
  std::string name;
  void (*start)(const Tensor& memory);  // [1024] i32 on device cuda, all 0
  std::vector<std::string> message;     // required parts of the error's text; none: the kernel is right
};

const std::vector<Kernel>& kernels();

// Starts two kernels that need more than a GPU has, which only nvcc knows (scripts/check_launches.py). Both
// [1024] i32.
void start_impossible(const Tensor& in, const Tensor& out);

}  // namespace kindred::planted
