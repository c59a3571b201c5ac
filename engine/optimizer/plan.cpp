#include <kindred/engine/kernels/work.h>
#include <kindred/engine/optimizer/kernels.h>

namespace kindred {
namespace {

const WorkKind check_kind("optimizer.check"), update_kind("optimizer.update"), norms_kind("optimizer.norms"),
    scalars_kind("optimizer.scalars");

void check_finite(const Tensor& values, std::int32_t, Output flag) {
  record_work(check_kind, {.read = bytes_of({values}), .written = bytes_of({flag})});
}

void update(const FlatParameters& flat, const Tensor& velocity, const Tensor& mean_square = {}) {
  record_work(update_kind, {.read = bytes_of({flat.values, flat.gradients, velocity, mean_square, flat.chunks}),
                            .written = bytes_of({flat.values, flat.low, velocity, mean_square})});
}

void sgd(const FlatParameters& flat, Output velocity, double, bool) {
  update(flat, velocity);
}

void rmsprop(const FlatParameters& flat, Output velocity, Output mean_square, double, double, double) {
  update(flat, velocity, mean_square);
}

void lars(const FlatParameters& flat, Output velocity, const Tensor&, double) {
  update(flat, velocity);
}

void adamw_factors(const FlatParameters&, Output steps, double, double, Output factors) {
  record_work(scalars_kind, {.read = bytes_of({steps}), .written = bytes_of({steps, factors})});
}

void adamw(const FlatParameters& flat, Output mean, Output mean_square, const Tensor&, double, double, double) {
  update(flat, mean, mean_square);
}

void squared_norms(const FlatParameters& flat, TrustNorm, Output squares) {
  record_work(norms_kind,
              {.read = bytes_of({flat.values, flat.gradients, flat.chunks}), .written = bytes_of({squares})});
}

void lars_rates(const FlatParameters& flat, const Tensor& squares, double, TrustNorm, Output rates) {
  record_work(scalars_kind, {.read = bytes_of({flat.parameters, squares}), .written = bytes_of({rates})});
}

void adjust_loss_scale(const FlatParameters& flat, std::int32_t) {
  record_work(scalars_kind, {.read = bytes_of({flat.loss_scale}), .written = bytes_of({flat.loss_scale})});
}

}  // namespace

const OptimizerKernels optimizer_plan = {
    check_finite, sgd, rmsprop, lars, adamw_factors, adamw, squared_norms, lars_rates, adjust_loss_scale};

}  // namespace kindred
