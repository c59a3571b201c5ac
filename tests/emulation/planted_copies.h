// Kernels with one error each in their use of engine/cuda/async_copy.h (planted_copies.cu), and some without.
#pragma once

#include <string>
#include <vector>

#include <kindred/engine/tensor.h>

namespace kindred::planted {

struct CopyKernel {
  std::string name;
  // memory: i32 [1024] of the emulated GPU. The first half is read, the second written.
  void (*start)(const Tensor& memory);
  std::vector<std::string> message;  // what the error must say; empty: there is no error
};
const std::vector<CopyKernel>& copy_kernels();

}  // namespace kindred::planted
