#include <kindred/engine/kernels/select.h>
#include <kindred/engine/optimizer/kernels.h>
#include <kindred/engine/optimizer/optimizer.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;  // clang before 17 does not deduce it

void check_common(double momentum, double weight_decay) {
  check(momentum >= 0 && momentum < 1, ExitCode::usage, "the momentum is {}; it must be at least 0 and below 1",
        momentum);
  check(weight_decay >= 0 && std::isfinite(weight_decay), ExitCode::usage,
        "the weight decay is {}; it must be a finite number, 0 or more", weight_decay);
}

void check_options(const SgdOptions& o) {
  check_common(o.momentum, o.weight_decay);
  check(!o.nesterov || o.momentum > 0, ExitCode::usage, "Nesterov's look-ahead needs a momentum above 0");
}

void check_options(const LarsOptions& o) {
  check_common(o.momentum, o.weight_decay);
  check(o.eta > 0 && std::isfinite(o.eta), ExitCode::usage, "LARS: eta is {}; it must be above 0", o.eta);
}

void check_options(const RmsPropOptions& o) {
  check_common(o.momentum, o.weight_decay);
  check(o.rho >= 0 && o.rho < 1, ExitCode::usage, "RMSProp: rho is {}; it must be at least 0 and below 1",
        o.rho);
  check(o.eps > 0 && std::isfinite(o.eps), ExitCode::usage, "RMSProp: epsilon is {}; it must be above 0",
        o.eps);
  check(o.initial_mean_square >= 0 && std::isfinite(o.initial_mean_square), ExitCode::usage,
        "RMSProp: the mean square starts at {}; it must be 0 or more", o.initial_mean_square);
}

void check_options(const AdamWOptions& o) {
  check_common(o.beta1, o.weight_decay);
  check(o.beta2 >= 0 && o.beta2 < 1, ExitCode::usage, "AdamW: beta 2 is {}; it must be at least 0 and below 1",
        o.beta2);
  // A smaller one could be 0 in float, and then an element without a gradient would become NaN.
  check(o.eps >= 1e-30 && std::isfinite(o.eps), ExitCode::usage,
        "AdamW: epsilon is {}; it must be 1e-30 or more", o.eps);
}

bool exempts_are_included(const SgdOptions& o) {
  return o.decay_normalization_and_biases;
}
bool exempts_are_included(const LarsOptions& o) {
  return o.adapt_normalization_and_biases;
}
bool exempts_are_included(const RmsPropOptions& o) {
  return o.decay_normalization_and_biases;
}
bool exempts_are_included(const AdamWOptions& o) {
  return o.decay_normalization_and_biases;
}

double checked_factor(const RateFactor& rate_factor, const Parameter& parameter) {
  const double factor = rate_factor ? rate_factor(parameter) : 1;
  check(factor >= 0 && std::isfinite(factor), ExitCode::usage,
        "the learning rate of {} is multiplied by {}; it must be a finite number, 0 or more", parameter.name,
        factor);
  return factor;
}

// Creates the tables of flat_parameters.h.
FlatParameters flat_parameters(const ParameterStore& store, double weight_decay, bool include_exempts,
                               const RateFactor& rate_factor) {
  std::vector<std::int32_t> chunks, parameters;
  std::vector<double> decays, factors;
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    const Parameter& parameter = store.parameters()[i];
    const bool included = include_exempts || !is_exempt(parameter);
    const std::int64_t begin = store.offsets()[i], elements = parameter.shape.numel();
    check(begin % chunk_granule == 0, ExitCode::internal, "{} starts at element {}, not at a multiple of {}",
          parameter.name, begin, chunk_granule);
    const auto first_chunk = static_cast<std::int32_t>(chunks.size() / 3);
    factors.push_back(checked_factor(rate_factor, parameter));
    const bool is_frozen = factors.back() == 0;
    for (std::int64_t at = 0; at < elements && !is_frozen; at += chunk_elements)
      chunks.insert(chunks.end(),
                    {static_cast<std::int32_t>(i), static_cast<std::int32_t>((begin + at) / chunk_granule),
                     static_cast<std::int32_t>(std::min(chunk_elements, elements - at))});
    const auto count = static_cast<std::int32_t>(chunks.size() / 3) - first_chunk;
    parameters.insert(parameters.end(), {first_chunk, count, included ? 1 : 0});
    decays.push_back(included ? weight_decay : 0.0);
  }

  const Device device = store.flat_values().device();
  const DType type = store.flat_values().dtype();
  const auto rows = [](const std::vector<std::int32_t>& table) {
    return static_cast<std::int64_t>(table.size() / 3);
  };
  FlatParameters flat;
  flat.values = store.flat_values();
  flat.gradients = store.flat_gradients();
  flat.low = store.flat_low();
  check(!chunks.empty() || store.parameters().empty(), ExitCode::usage,
        "every parameter is frozen, so there is nothing to train");
  flat.chunks = Tensor::from(chunks, {rows(chunks), 3}, device);
  flat.parameters = Tensor::from(parameters, {rows(parameters), 3}, device);
  flat.weight_decay = Tensor::from(decays, {rows(parameters)}, Device::reference).to(device, type);
  flat.learning_rate = Tensor::zeros({1}, type, device);
  if (std::any_of(factors.begin(), factors.end(), [](double factor) { return factor != 1; }))
    flat.rate_factor = Tensor::from(factors, {rows(parameters)}, Device::reference).to(device, type);
  flat.non_finite = Tensor::zeros({1}, DType::i32, device);
  return flat;
}

}  // namespace

const OptimizerKernels& optimizer_kernels(Device device) {
  return select_kernels("the optimizer", device, optimizer_reference, optimizer_cpu, optimizer_cuda,
                        optimizer_plan);
}

bool is_exempt(const Parameter& parameter) {
  return parameter.kind != ParameterKind::weight || parameter.shape.rank() < 2;
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options, const RateFactor& rate_factor)
    : store_(store), options_(options) {
  check(store.flat_values().defined(), ExitCode::internal,
        "an optimizer was made before the parameters were allocated");
  const Tensor& values = store.flat_values();
  std::visit(
      [&](const auto& o) {
        check_options(o);
        flat_ = flat_parameters(store, o.weight_decay, exempts_are_included(o), rate_factor);
      },
      options_);

  const SgdOptions* sgd = std::get_if<SgdOptions>(&options_);
  if (sgd == nullptr || sgd->momentum > 0)
    velocity_ = Tensor::zeros(values.shape(), values.dtype(), values.device());
  if (const auto* rmsprop = std::get_if<RmsPropOptions>(&options_))
    mean_square_ = Tensor::full(values.shape(), rmsprop->initial_mean_square, values.dtype(), values.device());
  if (std::holds_alternative<AdamWOptions>(options_)) {
    mean_square_ = Tensor::zeros(values.shape(), values.dtype(), values.device());
    steps_ = Tensor::zeros({1}, DType::i32, values.device());
    factors_ = Tensor::zeros({AdamWFactors<float>::places}, values.dtype(), values.device());
  }
  if (std::holds_alternative<LarsOptions>(options_)) {
    squares_ = Tensor::zeros({flat_.chunks.dim(0), 2}, DType::f64, values.device());
    rates_ = Tensor::full({flat_.parameters.dim(0)}, 1, values.dtype(), values.device());
  }
}

void Optimizer::set_learning_rate(double learning_rate) {
  check(learning_rate >= 0 && std::isfinite(learning_rate), ExitCode::usage,
        "the learning rate is {}; it must be a finite number, 0 or more", learning_rate);
  flat_.learning_rate.fill(learning_rate);
}

void Optimizer::set_learning_rate(const Tensor& learning_rate) {
  flat_.learning_rate.copy_from(learning_rate);
}

void Optimizer::step() {
  const OptimizerKernels& kernels = optimizer_kernels(flat_.values.device());
  kernels.check_finite(flat_.gradients, NonFinite::gradient, Output(flat_.non_finite));
  std::visit(Overloaded{
                 [&](const SgdOptions& o) { kernels.sgd(flat_, Output(velocity_), o.momentum, o.nesterov); },
                 [&](const LarsOptions& o) {
                   kernels.squared_norms(flat_, o.trust_norm, Output(squares_));
                   kernels.lars_rates(flat_, squares_, o.eta, o.trust_norm, Output(rates_));
                   kernels.lars(flat_, Output(velocity_), rates_, o.momentum);
                 },
                 [&](const RmsPropOptions& o) {
                   kernels.rmsprop(flat_, Output(velocity_), Output(mean_square_), o.rho, o.momentum, o.eps);
                 },
                 [&](const AdamWOptions& o) {
                   kernels.adamw_factors(flat_, Output(steps_), o.beta1, o.beta2, Output(factors_));
                   kernels.adamw(flat_, Output(velocity_), Output(mean_square_), factors_, o.beta1, o.beta2,
                                 o.eps);
                 },
             },
             options_);
  if (flat_.loss_scale.defined()) kernels.adjust_loss_scale(flat_, NonFinite::gradient);
}

void Optimizer::scale_loss() {
  using Rule = LossScaleRule<double>;
  std::vector<double> state(Rule::places);
  state[Rule::scale] = Rule::first;
  state[Rule::inverse] = 1 / Rule::first;
  const Tensor& values = flat_.values;
  flat_.loss_scale = Tensor::from(state, {Rule::places}, Device::reference).to(values.device(), values.dtype());
}

Tensor Optimizer::loss_scale() const {
  if (!flat_.loss_scale.defined()) return {};
  return flat_.loss_scale.window(LossScaleRule<float>::scale, Shape());
}

LossScaleFigures Optimizer::loss_scale_figures() const {
  if (!flat_.loss_scale.defined() || flat_.loss_scale.device() == Device::plan) return {};
  const std::vector<double> state = flat_.loss_scale.to_vector<double>();
  using Rule = LossScaleRule<double>;
  return {state[Rule::scale], static_cast<std::int64_t>(state[Rule::skipped_steps])};
}

void Optimizer::watch_loss(const Tensor& loss_value) {
  check_same_device(loss_value, flat_.values, "the loss that the optimizer watches");
  optimizer_kernels(loss_value.device()).check_finite(loss_value, NonFinite::loss, Output(flat_.non_finite));
}

std::int32_t Optimizer::non_finite() const {
  if (flat_.non_finite.device() == Device::plan) return NonFinite::none;
  return flat_.non_finite.to_vector<std::int32_t>()[0];
}

void Optimizer::clear_non_finite() {
  flat_.non_finite.fill(0);
}

std::vector<std::pair<std::string, Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, Tensor>> named;
  const auto add = [&](const char* what, const Tensor& flat) {
    if (!flat.defined()) return;
    for (std::size_t i = 0; i < store_.parameters().size(); ++i) {
      const Parameter& parameter = store_.parameters()[i];
      named.emplace_back(fmt::format("optimizer.{}.{}", what, parameter.name),
                         flat.window(store_.offsets()[i], parameter.shape));
    }
  };
  add("momentum", velocity_);
  add("mean_square", mean_square_);
  if (steps_.defined()) named.emplace_back("optimizer.steps", steps_);
  if (flat_.loss_scale.defined()) named.emplace_back("optimizer.loss_scale", flat_.loss_scale);
  return named;
}

std::string first_non_finite(const ParameterStore& store) {
  for (const Parameter& parameter : store.parameters()) {
    const std::vector<double> gradient = parameter.gradient.to_vector<double>();
    if (!std::all_of(gradient.begin(), gradient.end(), [](double g) { return std::isfinite(g); }))
      return parameter.name;
  }
  return "";
}

}  // namespace kindred
