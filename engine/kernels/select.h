// Finds a folder's kernels for a device.
//
// Each layer and each loss has one struct of function pointers (its kernels.h) and one constant of that struct
// for each device: reference.cpp, cpu.cpp, cuda.cu, plan.cpp. In a build without CUDA the build system defines
// a null pointer in place of the table of cuda.cu (cmake/KindredFolder.cmake). The error for that case is
// raised here, and only here.
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
      check(cuda != nullptr, ExitCode::device, Cause::needs_cpu, "{} on device cuda: this build has no CUDA",
            what);
      return *cuda;
  }
  fail(ExitCode::internal, "{}: unknown device", what);
}

}  // namespace kindred
