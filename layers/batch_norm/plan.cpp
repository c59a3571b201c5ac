// The native kernels of cuda.cu. Where cuDNN's kernels are faster (fused.h), which only a GPU can measure,
// the real time is shorter.
#include <kindred/engine/kernels/work.h>
#include <kindred/layers/batch_norm/kernels.h>

#include <algorithm>

namespace kindred {
namespace {

const WorkKind statistics_kind("batch_norm.statistics"), apply_kind("batch_norm.apply"),
    reduce_kind("batch_norm.reduce"), backward_kind("batch_norm.backward"),
    channels_kind("batch_norm.channels");

// The memory for the partial sums that the blocks leave to the last one of them, which adds them up: two doubles for each
// channel of a block, which has at most 256 channels (rows.cuh), for one wave of blocks on an H200.
std::int64_t partial_sums(const Tensor& x) {
  constexpr std::int64_t blocks = 396, channels_of_block = 256, bytes = 2 * sizeof(double);
  return bytes * std::min(blocks * std::min(x.shape().back(), channels_of_block), x.numel());
}

// A sum over the rows of `x`, which the last blocks of the same kernel finish.
void sum_over_rows(const WorkKind& kind, const Tensor& x, std::int64_t read, std::int64_t written) {
  const std::int64_t partial = partial_sums(x);
  record_work(kind, {.read = read + partial, .written = written + partial});
}

void statistics(const Tensor& x, Output mean, Output variance) {
  sum_over_rows(statistics_kind, x, bytes_of({x}), bytes_of({mean, variance}));
}

void apply(const Tensor& x, const BatchNormChannels& channels, const Tensor& residual, bool, Output mask,
           Output y) {
  record_work(apply_kind,
              {.read = bytes_of({x, channels.mean, channels.inv_std, channels.scale, channels.bias, residual}),
               .written = bytes_of({mask, y})});
}

void reduce(const Tensor& dy, const Tensor& addend, const Tensor& mask, const Tensor& x,
            const BatchNormChannels& channels, Output d_scale, Output d_bias, Output dz) {
  sum_over_rows(reduce_kind, x, bytes_of({dy, addend, mask, x, channels.mean, channels.inv_std}),
                bytes_of({dz, d_scale, d_bias}));
}

// With constant statistics (count 0) x is not read.
void apply_backward(const Tensor& dy, const Tensor& mask, const Tensor& x, const BatchNormChannels& channels,
                    const BatchNormSums& sums, Output dx, Output d_residual) {
  const bool reads_x = sums.count > 0 && dx.defined();
  record_work(backward_kind, {.read = bytes_of({dy, mask, reads_x ? x : Tensor(), channels.mean,
                                                channels.inv_std, channels.scale, sums.d_scale, sums.d_bias}),
                              .written = bytes_of({dx, d_residual})});
}

void finish_statistics(const Tensor& mean, const Tensor& variance, double, double, std::int64_t, Output inv_std,
                       Output running_mean, Output running_variance) {
  record_work(channels_kind, {.read = bytes_of({mean, variance, running_mean, running_variance}),
                              .written = bytes_of({inv_std, running_mean, running_variance})});
}

void statistics_and_finish(const Tensor& x, double, double, std::int64_t, Output mean, Output variance,
                           Output inv_std, Output running_mean, Output running_variance) {
  sum_over_rows(statistics_kind, x, bytes_of({x, running_mean, running_variance}),
                bytes_of({mean, variance, inv_std, running_mean, running_variance}));
}

void merge(const Tensor& other_mean, const Tensor& other_variance, double, Output mean, Output variance) {
  record_work(channels_kind, {.read = bytes_of({other_mean, other_variance, mean, variance}),
                              .written = bytes_of({mean, variance})});
}

void merge_all(const Tensor& parts, Output mean, Output variance) {
  record_work(channels_kind, {.read = bytes_of({parts}), .written = bytes_of({mean, variance})});
}

}  // namespace

const BatchNormKernels batch_norm_plan = {
    statistics, apply, reduce, apply_backward, finish_statistics, statistics_and_finish, merge, merge_all};

}  // namespace kindred
