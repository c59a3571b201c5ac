// How a folder's kernels are found for a device.
//
// Each layer and each loss has one struct of function pointers (its kernels.h) and one constant of that struct
// for each device: reference.cpp, cpu.cpp, cuda.cu, plan.cpp. In a build without CUDA the build system puts a
// null pointer where cuda.cu would have put its table (cmake/KindredFolder.cmake); the one place that says so
// is here.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/error.h>

namespace kindred {

template <typename Table>
const Table& select_kernels(const char* what, Device device, const Table& reference, const Table& cpu,
                            const Table* cuda, const Table& plan) {
  switch (device) {
    case Device::reference:
      return reference;
    case Device::cpu:
      return cpu;
    case Device::plan:
      return plan;
    case Device::cuda:
      check(cuda != nullptr, ExitCode::device, "{} on device cuda: this build has no CUDA; use --device cpu",
            what);
      return *cuda;
  }
  fail(ExitCode::internal, "{}: unknown device", what);
}

}  // namespace kindred
