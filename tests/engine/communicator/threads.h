// Several "processes" as threads of one process, for tests of what many processes compute together.
//
//   run_processes(4, [](const Communicator& processes) {
//     Tensor sum = Tensor::full({3}, processes.rank(), DType::f32, Device::cpu);
//     processes.all_reduce(Output(sum));  // 6 everywhere
//   });
//
// Tensors of the host only (devices reference and cpu). Stricter than any real transport: each collective compares what the
// processes call, and stops all of them if they call different things; while a sum is under way its tensor holds NaN, and
// whoever writes there is found out when it is finished.
#pragma once

#include <kindred/engine/communicator/communicator.h>

#include <functional>

namespace kindred::test {

// Starts `size` threads. Each calls `body` with its own Communicator, which is also world() there. Returns when all have
// ended; throws the first exception that one of them threw. Nobody waits forever: once a process has thrown, or has
// returned, the calls of others that wait for it throw too.
void run_processes(int size, const std::function<void(const Communicator&)>& body);

}  // namespace kindred::test

namespace kindred {

using test::run_processes;

}  // namespace kindred
