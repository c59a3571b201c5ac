// Several processes as threads, each with an emulated GPU of its own, joined by what takes the place of NCCL.
//
//   run_gpus(2, seed, [](const Communicator& processes, const Communicator& hosts) { ... });
//
// `processes` carries tensors on device cuda, `hosts` those of the host and texts.
#pragma once

#include "../emulated_gpu.h"
#include "../engine/communicator/threads.h"

#include <kindred/engine/communicator/no_transport.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/third_party/nccl/nccl_transport.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

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

// Hosts that can find out who is lost, as MPI can (tests/mpi): `look` is what they do then. Texts travel over `hosts`.
class WatchingHosts final : public Transport {
 public:
  using Look = std::function<void(double waited, const std::string& problem)>;
  WatchingHosts(const Communicator& hosts, Look look) : hosts_(hosts), look_(std::move(look)) {}

  void all_gather(const void* from, void* to, std::size_t bytes) override {
    std::string all;
    for (const std::string& text : hosts_.gather({static_cast<const char*>(from), bytes})) all += text;
    all.copy(static_cast<char*>(to), all.size());
  }
  void broadcast(void* data, std::size_t bytes, int root) override {
    const std::string text = hosts_.broadcast({static_cast<const char*>(data), bytes}, root);
    text.copy(static_cast<char*>(data), bytes);
  }
  bool look(double waited, const std::string& problem) override {
    look_(waited, problem);
    return true;
  }
  void all_reduce(void*, std::int64_t, DType, Reduction) override { refuse(); }
  void start_sum(void*, std::int64_t, DType) override { refuse(); }
  void finish_sums() override {}
  std::string description() const override { return "watching hosts"; }

 private:
  [[noreturn]] static void refuse() { fail(ExitCode::internal, "the hosts were asked to add"); }

  const Communicator& hosts_;
  const Look look_;
};

inline void run_gpus(
    int size, std::uint64_t seed,
    const std::function<void(const Communicator& processes, const Communicator& hosts)>& body) {
  run_processes(size, [&](const Communicator& hosts) {
    const OwnGpu own(seed + static_cast<std::uint64_t>(hosts.rank()));
    {
      const Communicator processes(
          hosts.rank(), size, std::make_shared<NoTransport>("a tensor of the host was sent"), open_nccl(hosts));
      body(processes, hosts);
    }
    gpu().synchronize();  // throws what nobody has waited for
  });
}

}  // namespace kindred::test
