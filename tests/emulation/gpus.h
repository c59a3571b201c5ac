// Several processes as threads, each with an emulated GPU of its own, joined by what takes the place of NCCL.
//
//   run_gpus(2, seed, [](const Communicator& processes, const Communicator& hosts) { ... });
//
// `processes` carries tensors on device cuda, `hosts` those of the host and texts.
#pragma once

#include "../emulated_gpu.h"
#include "../engine/communicator/threads.h"

#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/third_party/nccl/nccl_transport.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace kindred::test {

// While an object lives, this thread has a GPU of its own, which runs its work in the order of `seed`.
class OwnGpu {
 public:
  explicit OwnGpu(std::uint64_t seed) {
    gpu().emulation->take_own_gpu();
    gpu().emulation->draw_order(seed);
  }
  ~OwnGpu() { gpu().emulation->leave_own_gpu(); }
  OwnGpu(const OwnGpu&) = delete;
  OwnGpu& operator=(const OwnGpu&) = delete;

 private:
  const PoolScope scope_{Device::cuda, new_memory_pool(Device::cuda)};
};

// For communicators that are given tensors of a GPU alone.
class NoHosts final : public Transport {
 public:
  void all_reduce(void*, std::int64_t, DType, Reduction) override { refuse(); }
  void all_gather(const void*, void*, std::size_t) override { refuse(); }
  void broadcast(void*, std::size_t, int) override { refuse(); }
  void start_sum(void*, std::int64_t, DType) override { refuse(); }
  void finish_sums() override {}
  std::string description() const override { return "nothing"; }

 private:
  [[noreturn]] static void refuse() { fail(ExitCode::internal, "a tensor of the host was sent"); }
};

inline void run_gpus(
    int size, std::uint64_t seed,
    const std::function<void(const Communicator& processes, const Communicator& hosts)>& body) {
  run_processes(size, [&](const Communicator& hosts) {
    const OwnGpu own(seed + static_cast<std::uint64_t>(hosts.rank()));
    {
      const Communicator processes(hosts.rank(), size, std::make_shared<NoHosts>(), open_nccl(hosts));
      body(processes, hosts);
    }
    gpu().synchronize();  // throws what nobody has waited for
  });
}

}  // namespace kindred::test
