#include <kindred/engine/communicator/communicator.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/shared_statistics.h>

namespace kindred {
namespace {

thread_local const Communicator* sharing_processes = nullptr;

}  // namespace

SharedStatistics::SharedStatistics(const Communicator& processes) : outer_(sharing_processes) {
  sharing_processes = processes.is_alone() ? nullptr : &processes;
}
SharedStatistics::~SharedStatistics() {
  sharing_processes = outer_;
}

const Communicator* SharedStatistics::processes() {
  return sharing_processes;
}

ChannelPair::ChannelPair(const Tensor& like, const Communicator* processes) {
  if (processes == nullptr) {
    first = Tensor::empty_like(like);
    second = Tensor::empty_like(like);
    return;
  }
  const std::int64_t channels = like.numel();
  both = Tensor::empty({2, channels}, like.dtype(), like.device());
  first = both.window(0, {channels});
  second = both.window(channels, {channels});
}

void merge_statistics_over(const Communicator& processes, const ChannelPair& mean_and_variance) {
  const Tensor& own = mean_and_variance.both;
  const Tensor parts = Tensor::empty({processes.size(), 2, own.dim(1)}, own.dtype(), own.device());
  processes.all_gather(own, Output(parts));
  batch_norm_kernels(own.device())
      .merge_all(parts, Output(mean_and_variance.first), Output(mean_and_variance.second));
}

void sum_over(const Communicator& processes, const ChannelPair& sums) {
  processes.all_reduce(Output(sums.both));
}

}  // namespace kindred
