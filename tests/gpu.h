// Whether device cuda can be used here: a GPU, or its emulation.
#pragma once

#include <kindred/engine/device_kernels.h>

namespace kindred::test {

inline bool has_gpu() {
  return device_cuda != nullptr && device_cuda->probe().usable;
}
inline bool no_gpu() {
  return !has_gpu();
}

}  // namespace kindred::test
