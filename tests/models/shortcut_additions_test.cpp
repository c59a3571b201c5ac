// The gradients of a ResNet's blocks are added by batch norms, which read them anyway: on device `plan`, which writes down
// every kernel that a GPU would run.
#include <kindred/engine/kernels/work.h>
#include <kindred/engine/tape.h>
#include <kindred/models/resnet.h>

#include <doctest/doctest.h>

#include <algorithm>

namespace kindred {
namespace {

struct PlannedGpu {
  PlannedGpu() { set_planned_device(Device::cuda); }
  ~PlannedGpu() { set_planned_device(Device::cpu); }
};

TEST_CASE("a ResNet's way back on a GPU: no addition of its own, except where a max pool made the tensor") {
  const PlannedGpu gpu;
  struct Network {
    const char* name;
    Stem stem;
    int additions, norms;
  };
  for (const Network& network :
       {Network{"resnet50", Stem::imagenet, 1, 53}, Network{"resnet18", Stem::imagenet, 1, 20},
        Network{"resnet20", Stem::cifar, 0, 21}}) {
    CAPTURE(network.name);
    ParameterStore store;
    const ResNet net(store, resnet_spec(network.name), network.stem);
    store.allocate(Device::plan, 1, DType::f32, DType::bf16);
    const Tensor x = Tensor::empty({2, 64, 64, 3}, DType::bf16, Device::plan);
    WorkLog log;
    Tape tape;
    store.attach(tape);
    const Tensor y = net(x, Mode::train);
    tape.backward(y, Tensor::empty_like(y));
    const auto launched = [&](std::string_view kind) {
      return std::count_if(log.entries().begin(), log.entries().end(), [&](const WorkLog::Entry& entry) {
        return entry.backward && entry.kind->name() == kind;
      });
    };
    CHECK(launched("add") == network.additions);
    CHECK(launched("batch_norm.reduce") == network.norms);
  }
}

}  // namespace
}  // namespace kindred
