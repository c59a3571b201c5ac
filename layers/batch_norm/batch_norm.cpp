#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/kernels/select.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/fused.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/shared_statistics.h>
#include <kindred/layers/batch_norm/whole_batch.h>

namespace kindred {
namespace {

const Operation batch_norm_operation("batch_norm");

void check_arguments(const BatchNormArguments& a) {
  check(a.x.shape().rank() >= 2, ExitCode::internal, "batch_norm: x has the shape {}; expected [n, h, w, c]",
        a.x.shape());
  const Shape channels{a.x.shape().back()};
  check_shape(a.scale, channels, "the scale of batch_norm");
  check_shape(a.bias, channels, "the bias of batch_norm");
  if (a.residual.defined()) check_shape(a.residual, a.x.shape(), "the residual of batch_norm");
  if (!a.mode.is_training || a.running_mean.defined()) {
    check_shape(a.running_mean, channels, "the running mean of batch_norm");
    check_shape(a.running_variance, channels, "the running variance of batch_norm");
  }
}

// The statistics that x is normalized with.
struct Statistics {
  Tensor mean, inv_std;   // [c]
  std::int64_t rows = 0;  // rows they were computed from; 0: they do not depend on x
};

std::int64_t rows_of(const Tensor& x) {
  return x.numel() / x.shape().back();
}

void check_rows(std::int64_t rows) {
  check(rows > 1, ExitCode::usage, Cause::small_batch,
        "batch norm in training needs more than one value per channel");
}

Statistics running_statistics(const BatchNormArguments& a) {
  const Tensor inv_std = Tensor::empty_like(a.scale);
  batch_norm_kernels(a.x.device())
      .finish_statistics(a.running_mean, a.running_variance, batch_norm_epsilon, 0, rows_of(a.x),
                         Output(inv_std), {}, {});
  return {a.running_mean, inv_std, 0};
}

// Running statistics that move.
Output moving(const BatchNormArguments& a, const Tensor& running) {
  return a.mode.momentum > 0 ? Output(running) : Output();
}

// 1 / deviation of a batch. Also updates the running statistics.
Tensor finished(const BatchNormArguments& a, const Tensor& mean, const Tensor& variance, std::int64_t rows) {
  const Tensor inv_std = Tensor::empty_like(a.scale);
  batch_norm_kernels(a.x.device())
      .finish_statistics(mean, variance, batch_norm_epsilon, a.mode.momentum, rows, Output(inv_std),
                         moving(a, a.running_mean), moving(a, a.running_variance));
  return inv_std;
}

// The statistics of x, together with the rows of the other `processes` if it is not null.
Statistics batch_statistics(const BatchNormArguments& a, const Communicator* processes) {
  const std::int64_t rows = rows_of(a.x) * (processes ? processes->size() : 1);
  check_rows(rows);
  const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
  const ChannelPair moments(a.scale, processes);
  const auto& [mean, variance, both] = moments;
  if (!processes) {
    const Tensor inv_std = Tensor::empty_like(a.scale);
    kernels.statistics_and_finish(a.x, batch_norm_epsilon, a.mode.momentum, rows, Output(mean),
                                  Output(variance), Output(inv_std), moving(a, a.running_mean),
                                  moving(a, a.running_variance));
    return {mean, inv_std, rows};
  }
  kernels.statistics(a.x, Output(mean), Output(variance));
  merge_statistics_over(*processes, moments);
  return {mean, finished(a, mean, variance, rows), rows};
}

// The statistics of the whole batch, if this micro-batch is the last one to arrive here. Before that it throws
// Waiting.
Statistics whole_batch_statistics(const BatchNormArguments& a, WholeBatchNorms& whole,
                                  WholeBatchNorms::Norm& norm) {
  const auto micro_batch = static_cast<std::size_t>(whole.micro_batch());
  auto& [mean, variance, both] = norm.statistics;
  if (!norm.seen[micro_batch]) {
    if (norm.micro_batches_seen == 0) norm.processes = SharedStatistics::processes();
    const ChannelPair own(a.scale, norm.processes);
    const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
    kernels.statistics(a.x, Output(own.first), Output(own.second));
    norm.rows += rows_of(a.x);
    if (norm.micro_batches_seen == 0)
      norm.statistics = own;
    else
      kernels.merge(own.first, own.second, static_cast<double>(rows_of(a.x)) / static_cast<double>(norm.rows),
                    Output(mean), Output(variance));
    norm.seen[micro_batch] = true;
    if (++norm.micro_batches_seen == whole.micro_batches()) {
      if (norm.processes) norm.rows *= norm.processes->size();
      check_rows(norm.rows);
      if (norm.processes) merge_statistics_over(*norm.processes, norm.statistics);
      norm.inv_std = finished(a, mean, variance, norm.rows);
    }
  }
  if (norm.micro_batches_seen < whole.micro_batches()) throw WholeBatchNorms::Waiting();
  return {mean, norm.inv_std, norm.rows};
}

bool fused_is_faster(const BatchNormArguments& a) {
  return a.x.device() == Device::cuda && fused_batch_norm_cuda != nullptr && a.x.shape().rank() == 4 &&
         (a.relu || !a.residual.defined()) && rows_of(a.x) > 1 &&
         fused_batch_norm_cuda->is_faster(a.x, a.relu, a.residual.defined());
}

Statistics apply_fused(const BatchNormArguments& a, Output mask, Output y) {
  const Tensor mean = Tensor::empty_like(a.scale), variance = Tensor::empty_like(a.scale);
  fused_batch_norm_cuda->forward(a.x, a.scale, a.bias, a.residual, mask, Output(mean), Output(variance), y);
  return {mean, finished(a, mean, variance, rows_of(a.x)), rows_of(a.x)};
}

// Copies, because d_scale and d_bias may be the parameters' gradient buffers. These keep the sums over own rows.
ChannelPair copy_of_sums(const Tensor& d_scale, const Tensor& d_bias, const Communicator* processes) {
  ChannelPair sums(d_scale, processes);
  sums.first.copy_from(d_scale);
  sums.second.copy_from(d_bias);
  return sums;
}

void add_gradients(WholeBatchNorms::Norm& norm, int micro_batch, const Tensor& d_scale, const Tensor& d_bias) {
  if (norm.seen_gradient[static_cast<std::size_t>(micro_batch)]) return;
  norm.seen_gradient[static_cast<std::size_t>(micro_batch)] = true;
  if (norm.gradients_seen++ == 0) {
    norm.sums = copy_of_sums(d_scale, d_bias, norm.processes);
  } else {
    accumulate(Output(norm.sums.first), d_scale);
    accumulate(Output(norm.sums.second), d_bias);
  }
  const bool is_last = norm.gradients_seen == norm.micro_batches_seen;
  if (is_last && norm.processes) sum_over(*norm.processes, norm.sums);
}

// Whether the sums of all micro-batches are known as soon as this one has given its own.
bool completes_sums(const WholeBatchNorms::Norm& norm, int micro_batch) {
  const bool gives = !norm.seen_gradient[static_cast<std::size_t>(micro_batch)];
  return norm.gradients_seen + (gives ? 1 : 0) == norm.micro_batches_seen;
}

// What the backward pass needs besides the saved tensors.
struct Recorded {
  std::int64_t rows;  // that the statistics were computed from; 0: they do not depend on x
  bool fused, with_residual;
  WholeBatchNorms::Norm* norm;  // null unless x is a micro-batch with the statistics of the whole batch
  int micro_batch;
  const Communicator* processes;  // that share the statistics; null if none do, or if `norm` knows them
};

void backward(BackwardStep& step, const Recorded& recorded) {
  auto [dy, addend] = step.take_output_gradients();  // two if y was used twice, and not with `fused`
  auto [x, mean, inv_std, scale, mask] = step.saved<5>();
  const BatchNormChannels channels{mean, inv_std, scale};
  // The tensor for a gradient, or a temporary one, because some kernels write all gradients.
  const auto wanted_or_temporary = [&step](int input, const Tensor& like) {
    return step.wants(input) ? step.input_gradient(input) : Output(Tensor::empty_like(like));
  };
  Output d_scale = wanted_or_temporary(1, scale), d_bias = wanted_or_temporary(2, scale);
  if (recorded.fused) {
    const Output dx = wanted_or_temporary(0, x);
    const Output d_residual = recorded.with_residual ? wanted_or_temporary(3, x) : Output();
    fused_batch_norm_cuda->backward(dy, mask, x, channels, d_scale, d_bias, dx, d_residual);
    return;
  }
  const bool waits = recorded.norm && !completes_sums(*recorded.norm, recorded.micro_batch);
  // The residual's gradient is the masked one, so the first pass writes it and the second one reads no mask. Without a
  // residual to write it would cost more than to mask twice.
  const bool masks_for_residual = mask.defined() && step.wants(3) && !waits;
  const BatchNormKernels& kernels = batch_norm_kernels(dy.device());
  const Tensor dz = addend.defined() || masks_for_residual ? Tensor::empty_like(dy) : Tensor();
  kernels.reduce(dy, addend, mask, x, channels, d_scale, d_bias, Output(dz));
  if (dz.defined()) {
    dy = dz;  // the memory of both is free for dx
    addend = mask = Tensor();
  }
  BatchNormSums sums{.d_scale = d_scale, .d_bias = d_bias, .count = recorded.rows};
  if (recorded.norm) {
    add_gradients(*recorded.norm, recorded.micro_batch, d_scale, d_bias);
    if (waits) throw WholeBatchNorms::Waiting();
    sums.d_scale = recorded.norm->sums.first;
    sums.d_bias = recorded.norm->sums.second;
  } else if (recorded.processes && step.wants(0)) {  // only dx depends on the rows of the others
    const ChannelPair all = copy_of_sums(d_scale, d_bias, recorded.processes);
    sum_over(*recorded.processes, all);
    sums.d_scale = all.first;
    sums.d_bias = all.second;
  }
  if (step.wants(0)) kernels.apply_backward(dy, mask, x, channels, sums, step.input_gradient(0), {});
  step.pass_gradient(3, dy);
}

}  // namespace

const BatchNormKernels& batch_norm_kernels(Device device) {
  return select_kernels("batch_norm", device, batch_norm_reference, batch_norm_cpu, batch_norm_cuda,
                        batch_norm_plan);
}

Tensor batch_norm(const BatchNormArguments& a) {
  check_arguments(a);
  const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
  const bool training = a.mode.is_training;
  WholeBatchNorms* const whole = training ? WholeBatchNorms::active() : nullptr;
  WholeBatchNorms::Norm* const norm = whole ? &whole->next() : nullptr;
  const Communicator* const processes = training && !norm ? SharedStatistics::processes() : nullptr;
  Tape* tape = Tape::recording({&a.x, &a.scale, &a.bias, &a.residual});
  // Used also without a tape: micro-batches are computed once without a tape and once with one, and both must
  // give the same bits.
  const bool fused = training && !norm && !processes && fused_is_faster(a);
  Statistics s = norm       ? whole_batch_statistics(a, *whole, *norm)
                 : fused    ? Statistics()
                 : training ? batch_statistics(a, processes)
                            : running_statistics(a);

  Tensor mask;  // one bit per element: whether the ReLU passed it
  if (a.relu && (tape || fused)) mask = Tensor::empty({mask_bytes(a.x.numel())}, DType::u8, a.x.device());
  Tensor y = Tensor::empty_like(a.x);
  if (fused)
    s = apply_fused(a, Output(mask), Output(y));
  else
    kernels.apply(a.x, {s.mean, s.inv_std, a.scale, a.bias}, a.residual, a.relu, Output(mask), Output(y));

  if (tape) {
    const Recorded recorded{.rows = s.rows,
                            .fused = fused,
                            .with_residual = a.residual.defined(),
                            .norm = norm,
                            .micro_batch = whole ? whole->micro_batch() : 0,
                            .processes = processes};
    tape->record(
        batch_norm_operation, {&a.x, &a.scale, &a.bias, &a.residual}, {&y},
        {a.x, s.mean, s.inv_std, a.scale, mask}, [recorded](BackwardStep& step) { backward(step, recorded); },
        fused ? Addition::by_tape : Addition::by_operation);
  }
  return y;
}

BatchNorm::BatchNorm(ParameterStore& store, const std::string& layer_name, std::int64_t channels)
    : name(layer_name),
      weight(store.add(name + ".weight", {channels}, ParameterKind::normalization, constant_init(1))),
      bias(store.add(name + ".bias", {channels}, ParameterKind::normalization, constant_init(0))),
      running_mean(store.add_buffer(name + ".running_mean", {channels}, 0)),
      running_var(store.add_buffer(name + ".running_var", {channels}, 1)) {}

Tensor BatchNorm::run(const Tensor& x, const Tensor& residual, bool relu, Mode mode) const {
  const TapeLabel label(name);
  return batch_norm({x, weight.value, bias.value, residual, relu, mode, running_mean.value, running_var.value});
}

Tensor BatchNorm::operator()(const Tensor& x, Mode mode) const {
  return run(x, Tensor(), false, mode);
}
Tensor BatchNorm::with_relu(const Tensor& x, Mode mode) const {
  return run(x, Tensor(), true, mode);
}
Tensor BatchNorm::with_residual_and_relu(const Tensor& x, const Tensor& residual, Mode mode) const {
  return run(x, residual, true, mode);
}

}  // namespace kindred
