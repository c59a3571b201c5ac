// Which kernels a section of work ran on the GPU and how long each took, as recorded by NVIDIA's CUPTI. This is
// for machines without a profiler, and for steps that are started as one recorded graph.
#pragma once

#include <string>

namespace kindred {

class KernelTimes {
 public:
  // Opens CUPTI and starts recording. Create it before anything is recorded as a graph: otherwise CUPTI does
  // not list the kernels of a graph separately. Throws Error(device) if CUPTI cannot be opened or refuses.
  KernelTimes();

  // Forgets what was recorded. The GPU must be idle, here and in table().
  void begin();
  // Returns what ran since begin() as text: two lines about the whole, then a line for each kernel, copy and
  // fill, the longest first. Its fields are separated by tabs: microseconds per step, share, times per step,
  // microseconds each, grid, block, registers, shared memory, name.
  std::string table(double steps);
};

}  // namespace kindred
