// Which kernels a stretch of work ran on the GPU and how long each took, as NVIDIA's CUPTI records them: for
// machines that have no profiler, and for steps that are started as one recorded graph.
#pragma once

#include <string>

namespace kindred {

class KernelTimes {
 public:
  // Opens CUPTI and starts recording; to be made before anything is recorded as a graph, since kernels of a
  // graph are only told apart if CUPTI was there first. Error(device) where CUPTI cannot be opened or refuses.
  KernelTimes();

  // Forgets what was recorded. The GPU must be idle, here and in table().
  void begin();
  // What ran since, as text: two lines about the whole, then a line for each kernel, copy and fill, the longest
  // first, with tabs between microseconds a step, share, times a step, microseconds each, grid, block,
  // registers, shared memory, name.
  std::string table(double steps);
};

}  // namespace kindred
