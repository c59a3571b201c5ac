#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/loss_flags.h>

#include <nlohmann/json.hpp>

#include <cmath>

namespace kindred {
namespace {

constexpr Named<LossKind> loss_names[] = {{LossKind::supcon, "supcon"},
                                          {LossKind::nt_xent, "simclr"},
                                          {LossKind::nt_xent, "nt_xent"},
                                          {LossKind::triplet, "triplet"},
                                          {LossKind::n_pairs, "n_pairs"},
                                          {LossKind::max_margin, "max_margin"},
                                          {LossKind::cross_entropy, "cross_entropy"}};

constexpr Named<SupConVariant> variant_names[] = {{SupConVariant::out, "out"}, {SupConVariant::in, "in"}};

constexpr Named<SupConDenominator> denominator_names[] = {
    {SupConDenominator::all, "all"},
    {SupConDenominator::one_positive, "one-positive"},
    {SupConDenominator::only_negatives, "only-negatives"}};

constexpr Named<SupConContrast> contrast_names[] = {{SupConContrast::all, "all"}, {SupConContrast::one, "one"}};

constexpr Named<TripletMining> mining_names[] = {{TripletMining::batch_all, "batch-all"},
                                                 {TripletMining::batch_hard, "batch-hard"},
                                                 {TripletMining::semi_hard, "semi-hard"}};

constexpr Named<TripletReduction> reduction_names[] = {{TripletReduction::active, "active"},
                                                       {TripletReduction::chosen, "chosen"}};

}  // namespace

void check_fits_loss(const char* flag, bool is_given, bool fits, const std::string& loss) {
  check(!is_given || fits, ExitCode::usage, "{} is not for --loss {}; leave it out", flag, loss);
}

void LossFlags::add_to(CommandLine& line) {
  line.add("--variant", variant, "supcon: take the mean over positives outside or inside the logarithm")
      .shows_default();
  line.add("--denominator", denominator, "supcon: all, one-positive or only-negatives").shows_default();
  line.add("--contrast", contrast, "anchors of supcon and simclr: all views, or one of each image")
      .shows_default();
  line.add("--positives-cap", positives_cap,
           "at most this many positives of an anchor (0: all); views of its own image come first")
      .shows_default();
  line.add("--mining", mining, "triplet: batch-all, batch-hard or semi-hard").shows_default();
  line.add("--triplets", triplets, "triplet: mean over active triplets (loss above 0), or over all chosen ones")
      .shows_default();
  line.add("--margin", margin, "of triplet (0.2) and max_margin (1)");
  line.add("--label-smoothing", label_smoothing, "of cross_entropy").shows_default();
}

LossOptions LossFlags::resolve(const std::string& loss, double temperature, double base_temperature,
                               std::int64_t views) const {
  LossOptions o;
  o.kind = choice("--loss", loss, loss_names);
  o.supcon.temperature = static_cast<float>(temperature);
  o.supcon.base_temperature = static_cast<float>(base_temperature);
  o.supcon.views = static_cast<int>(views);
  o.supcon.variant = choice("--variant", variant, variant_names);
  o.supcon.denominator = choice("--denominator", denominator, denominator_names);
  o.supcon.contrast = choice("--contrast", contrast, contrast_names);
  o.triplet.mining = choice("--mining", mining, mining_names);
  o.triplet.reduction = choice("--triplets", triplets, reduction_names);
  check(positives_cap >= 0 && positives_cap <= 1 << 20, ExitCode::usage,
        "--positives-cap {}: expected 0 (all) or more", positives_cap);
  o.supcon.positives_cap = static_cast<int>(positives_cap);
  check(!margin || (std::isfinite(*margin) && *margin >= 0), ExitCode::usage, "--margin {}: expected 0 or more",
        margin.value_or(0));
  if (margin) o.triplet.margin = o.max_margin.margin = static_cast<float>(*margin);
  check(label_smoothing >= 0 && label_smoothing < 1, ExitCode::usage,
        "--label-smoothing {}: expected 0 or more and below 1", label_smoothing);
  o.label_smoothing = static_cast<float>(label_smoothing);

  const LossFlags plain;
  const auto only_for = [&](const char* flag, bool is_given, bool fits) {
    check_fits_loss(flag, is_given, fits, loss);
  };
  const bool softmax = o.is_softmax();
  only_for("--variant", variant != plain.variant, softmax);
  only_for("--denominator", denominator != plain.denominator, softmax);
  only_for("--contrast", contrast != plain.contrast, softmax);
  only_for("--positives-cap", positives_cap != 0, softmax);
  only_for("--mining", mining != plain.mining, o.kind == LossKind::triplet);
  only_for("--triplets", triplets != plain.triplets, o.kind == LossKind::triplet);
  only_for("--margin", margin.has_value(), o.kind == LossKind::triplet || o.kind == LossKind::max_margin);
  only_for("--label-smoothing", label_smoothing != 0, o.classifies());
  check(o.kind != LossKind::nt_xent || views >= 2, ExitCode::usage,
        "--loss {} with --views 1: positives are other views of the same image, and there are none; use "
        "--views 2",
        loss);
  check(o.kind != LossKind::n_pairs || views == 2, ExitCode::usage,
        "--loss n_pairs with --views {}: it compares first views with second ones; use --views 2", views);
  return o;
}

nlohmann::json LossFlags::to_json() const {
  return {{"variant", variant},
          {"denominator", denominator},
          {"contrast", contrast},
          {"mining", mining},
          {"triplets", triplets},
          {"positives_cap", positives_cap},
          {"margin", margin ? nlohmann::json(*margin) : nlohmann::json()},
          {"label_smoothing", label_smoothing}};
}

}  // namespace kindred
