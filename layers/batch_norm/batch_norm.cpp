#include <kindred/engine/accumulate.h>
#include <kindred/engine/kernels.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/batch_norm/at_once.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/pieces.h>

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
  if (a.mode == Mode::evaluate || a.running_mean.defined()) {
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
      .finish_statistics(a.running_mean, a.running_variance, batch_norm_epsilon, 0, rows_of(a.x), inv_std, {},
                         {});
  return {a.running_mean, inv_std, 0};
}

// 1 / deviation of a batch. Also updates the running statistics.
Tensor finished(const BatchNormArguments& a, const Tensor& mean, const Tensor& variance, std::int64_t rows) {
  const Tensor inv_std = Tensor::empty_like(a.scale);
  const double momentum = RunningMomentum::current();
  batch_norm_kernels(a.x.device())
      .finish_statistics(mean, variance, batch_norm_epsilon, momentum, rows, inv_std,
                         momentum > 0 ? a.running_mean : Tensor(),
                         momentum > 0 ? a.running_variance : Tensor());
  return inv_std;
}

Statistics batch_statistics(const BatchNormArguments& a) {
  check_rows(rows_of(a.x));
  const Tensor mean = Tensor::empty_like(a.scale), variance = Tensor::empty_like(a.scale);
  batch_norm_kernels(a.x.device()).statistics(a.x, mean, variance);
  return {mean, finished(a, mean, variance, rows_of(a.x)), rows_of(a.x)};
}

// The statistics of all pieces of the batch, when this piece is the last one to arrive. Before that it throws
// Waiting.
Statistics whole_batch_statistics(const BatchNormArguments& a, WholeBatchNorms& whole,
                                  WholeBatchNorms::Norm& norm) {
  const auto piece = static_cast<std::size_t>(whole.piece());
  if (!norm.seen[piece]) {
    const Tensor mean = Tensor::empty_like(a.scale), variance = Tensor::empty_like(a.scale);
    const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
    kernels.statistics(a.x, mean, variance);
    norm.rows += rows_of(a.x);
    if (norm.pieces_seen == 0)
      norm.mean = mean, norm.variance = variance;
    else
      kernels.merge(mean, variance, static_cast<double>(rows_of(a.x)) / static_cast<double>(norm.rows),
                    norm.mean, norm.variance);
    norm.seen[piece] = true;
    if (++norm.pieces_seen == whole.pieces()) {
      check_rows(norm.rows);
      norm.inv_std = finished(a, norm.mean, norm.variance, norm.rows);
    }
  }
  if (norm.pieces_seen < whole.pieces()) throw WholeBatchNorms::Waiting();
  return {norm.mean, norm.inv_std, norm.rows};
}

bool faster_at_once(const BatchNormArguments& a) {
  return a.x.device() == Device::cuda && batch_norm_at_once_cuda != nullptr && a.x.shape().rank() == 4 &&
         (a.relu || !a.residual.defined()) && rows_of(a.x) > 1 &&
         batch_norm_at_once_cuda->is_faster(a.x, a.relu, a.residual.defined());
}

Statistics everything_at_once(const BatchNormArguments& a, const Tensor& mask, const Tensor& y) {
  const Tensor mean = Tensor::empty_like(a.scale), variance = Tensor::empty_like(a.scale);
  batch_norm_at_once_cuda->forward(a.x, a.scale, a.bias, a.residual, batch_norm_epsilon, mask, mean, variance,
                                   y);
  return {mean, finished(a, mean, variance, rows_of(a.x)), rows_of(a.x)};
}

void add_gradients(WholeBatchNorms::Norm& norm, int piece, const Tensor& d_scale, const Tensor& d_bias) {
  if (norm.seen_gradient[static_cast<std::size_t>(piece)]) return;
  norm.seen_gradient[static_cast<std::size_t>(piece)] = true;
  if (norm.gradients_seen++ == 0) {  // copies, because these tensors may be the parameters' gradient buffers
    norm.d_scale = d_scale.to(d_scale.device(), d_scale.dtype());
    norm.d_bias = d_bias.to(d_bias.device(), d_bias.dtype());
  } else {
    accumulate(norm.d_scale, d_scale);
    accumulate(norm.d_bias, d_bias);
  }
}

}  // namespace

const BatchNormKernels& batch_norm_kernels(Device device) {
  return select_kernels("batch_norm", device, batch_norm_reference, batch_norm_cpu, batch_norm_cuda,
                        batch_norm_plan);
}

Tensor batch_norm(const BatchNormArguments& a) {
  check_arguments(a);
  const BatchNormKernels& kernels = batch_norm_kernels(a.x.device());
  const bool training = a.mode == Mode::train;
  WholeBatchNorms* const whole = training ? WholeBatchNorms::active() : nullptr;
  WholeBatchNorms::Norm* const norm = whole ? &whole->next() : nullptr;
  Tape* tape = Tape::recording({&a.x, &a.scale, &a.bias, &a.residual});
  // Used also without a tape: a batch in pieces is computed once without a tape and once with one, and both
  // must give the same bits.
  const bool at_once = training && !norm && faster_at_once(a);
  Statistics s = norm       ? whole_batch_statistics(a, *whole, *norm)
                 : at_once  ? Statistics()
                 : training ? batch_statistics(a)
                            : running_statistics(a);

  Tensor mask;  // one bit per element: whether the ReLU passed it
  if (a.relu && (tape || at_once)) mask = Tensor::empty({mask_bytes(a.x.numel())}, DType::u8, a.x.device());
  Tensor y = Tensor::empty_like(a.x);
  if (at_once)
    s = everything_at_once(a, mask, y);
  else
    kernels.apply(a.x, s.mean, s.inv_std, a.scale, a.bias, a.residual, a.relu, mask, y);

  if (tape) {
    const std::int64_t count = s.rows;
    const int piece = whole ? whole->piece() : 0, pieces = whole ? whole->pieces() : 1;
    tape->record(
        batch_norm_operation, {&a.x, &a.scale, &a.bias, &a.residual}, {&y},
        {a.x, s.mean, s.inv_std, a.scale, mask},
        [count, norm, piece, pieces, at_once, with_residual = a.residual.defined()](BackwardStep& step) {
          const Tensor& dy = step.output_gradient();
          const Tensor &x = step.saved(0), &mean = step.saved(1), &inv_std = step.saved(2),
                       &scale = step.saved(3), &mask_ = step.saved(4);
          const BatchNormKernels& table = batch_norm_kernels(dy.device());
          // The tensor for a gradient, or a temporary one, because the kernels write all gradients.
          const auto place = [&step](int input, const Tensor& like) {
            return step.wants(input) ? step.input_gradient(input) : Tensor::empty_like(like);
          };
          Tensor d_scale = place(1, scale), d_bias = place(2, scale);
          if (at_once) {
            const Tensor dx = place(0, x), d_residual = with_residual ? place(3, x) : Tensor();
            batch_norm_at_once_cuda->backward(dy, mask_, x, mean, inv_std, scale, d_scale, d_bias, dx,
                                              d_residual);
            return;
          }
          table.reduce(dy, mask_, x, mean, inv_std, d_scale, d_bias);
          if (norm) {
            add_gradients(*norm, piece, d_scale, d_bias);
            if (norm->gradients_seen < pieces) throw WholeBatchNorms::Waiting();
            d_scale = norm->d_scale, d_bias = norm->d_bias;
          }
          const Tensor dx = step.wants(0) ? step.input_gradient(0) : Tensor();
          Tensor d_residual;
          if (step.wants(3)) {
            if (mask_.defined())
              d_residual = step.input_gradient(3);
            else
              step.pass_gradient(3, dy);
          }
          table.apply_backward(dy, mask_, x, mean, inv_std, scale, d_scale, d_bias, count, dx, d_residual);
        });
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
