#include <kindred/apps/console/choice.h>
#include <kindred/apps/training/options/rows/option_parts.h>
#include <kindred/engine/names.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr Named<OptimizerKind> optimizer_names[] = {{OptimizerKind::sgd, "sgd"},
                                                    {OptimizerKind::lars, "lars"},
                                                    {OptimizerKind::rmsprop, "rmsprop"},
                                                    {OptimizerKind::adamw, "adamw"}};

bool is_rmsprop(const PretrainOptions& o) {
  return o.optimizer == OptimizerKind::rmsprop;
}
bool is_adamw(const PretrainOptions& o) {
  return o.optimizer == OptimizerKind::adamw;
}

}  // namespace

const char* name(OptimizerKind kind) {
  return name_of(optimizer_names, kind);
}

std::vector<AnyOptionRow> option_parts::optimizer_rows() {
  return {OptionRow<OptimizerKind>("--optimizer", "optimizer", names_of(optimizer_names, " or ") + " (sgd)",
                                   &O::optimizer)
              .preset(&G::optimizer)
              .otherwise("sgd")
              .text([](const std::string& text) { return choice("--optimizer", text, optimizer_names); },
                    name_text<OptimizerKind>),
          Number("--lr", "lr", "peak learning rate (0.1; adamw: 0.001)", &O::lr)
              .preset(&G::lr)
              .otherwise_from([](const O& o) { return is_adamw(o) ? 1e-3 : 0.1; })
              .must_be("0 or more", not_negative),
          Number("--lr-floor", "lr_floor", "the cosine ends at this share of the peak (0)", &O::lr_floor)
              .preset(&G::lr_floor)
              .otherwise(0)
              .must_be("0 to 1", [](const double& v) { return v >= 0 && v <= 1; }),
          Number("--momentum", "momentum", "of the optimizer; adamw: beta 1 (0.9)", &O::momentum)
              .preset(&G::momentum)
              .otherwise(0.9)
              .must_be("0 or more and below 1", share_below_one),
          Number("--weight-decay", "weight_decay", "of the optimizer (1e-4; adamw: 0.01)", &O::weight_decay)
              .preset(&G::weight_decay)
              .otherwise_from([](const O& o) { return is_adamw(o) ? 0.01 : 1e-4; })
              .must_be("0 or more", not_negative),
          // Only runs with their optimizer depend on these. The defaults of rmsprop are those of stage one of
          // google-research/supcon, that of adamw is PyTorch's.
          Number("--rmsprop-rho", "rmsprop_rho",
                 "rmsprop: the share of the mean square that a step keeps (0.9, as in Google's SupCon)",
                 &O::rmsprop_rho)
              .preset(&G::rmsprop_rho)
              .otherwise(0.9)
              .must_be("0 or more and below 1", share_below_one)
              .recorded_if(is_rmsprop),
          Number("--rmsprop-eps", "rmsprop_eps",
                 "rmsprop: epsilon, added inside the root (1, as in Google's SupCon)", &O::rmsprop_eps)
              .preset(&G::rmsprop_eps)
              .otherwise(1)
              .must_be("a number above 0", positive)
              .recorded_if(is_rmsprop),
          Number("--beta2", "beta2", "adamw: the share of the mean square that a step keeps (0.999)", &O::beta2)
              .preset(&G::beta2)
              .otherwise(0.999)
              .must_be("0 or more and below 1", share_below_one)
              .recorded_if(is_adamw),
          Number("--warmup-epochs", "warmup_epochs", "linear warm-up (a tenth of the epochs, at most 10)",
                 &O::warmup_epochs)
              .preset(&G::warmup_epochs)
              .otherwise_from([](const O& o) { return std::min(10.0, static_cast<double>(o.epochs) / 10); })
              .must_be("0 or more, at most 1000000", [](const double& v) { return v >= 0 && v <= 1e6; }),
          Number("--warmup-start-lr", "warmup_start_lr", "where the warm-up starts (0)", &O::warmup_start_lr)
              .preset(&G::warmup_start_lr)
              .otherwise(0)
              .must_be("0 or more", not_negative)};
}

}  // namespace kindred
