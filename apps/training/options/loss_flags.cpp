#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/loss_flags.h>

#include <nlohmann/json.hpp>

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

constexpr NumberRange positives_caps{"0 (all) or more", 0, 1 << 20};

// Calls visit(flag, value, usual value, whether a loss of this kind uses it) for each of them.
template <typename Flags, typename Visit>
void for_each_loss_flag(Flags& flags, LossKind kind, const Visit& visit) {
  const LossFlags usual;
  LossOptions of_kind;
  of_kind.kind = kind;
  const bool softmax = of_kind.is_softmax(), triplet = kind == LossKind::triplet;
  visit("--variant", flags.variant, usual.variant, softmax);
  visit("--denominator", flags.denominator, usual.denominator, softmax);
  visit("--contrast", flags.contrast, usual.contrast, softmax);
  visit("--positives-cap", flags.positives_cap, usual.positives_cap, softmax);
  visit("--mining", flags.mining, usual.mining, triplet);
  visit("--triplets", flags.triplets, usual.triplets, triplet);
  visit("--margin", flags.margin, usual.margin, triplet || kind == LossKind::max_margin);
  visit("--label-smoothing", flags.label_smoothing, usual.label_smoothing, of_kind.classifies());
}

}  // namespace

LossKind parse_loss(const std::string& loss) {
  return choice("--loss", loss, loss_names);
}

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
           "at most this many positives of an anchor; views of its own image come first")
      .shows_default()
      .within(positives_caps);
  line.add("--mining", mining, "triplet: batch-all, batch-hard or semi-hard").shows_default();
  line.add("--triplets", triplets, "triplet: mean over active triplets (loss above 0), or over all chosen ones")
      .shows_default();
  line.add("--margin", margin, "of triplet (0.2) and max_margin (1)").within(not_negative_numbers);
  line.add("--label-smoothing", label_smoothing, "of cross_entropy").shows_default().within(shares_below_one);
}

LossOptions LossFlags::resolve(const std::string& loss, double temperature, double base_temperature,
                               std::int64_t views) const {
  LossOptions o;
  o.kind = parse_loss(loss);
  o.supcon.temperature = static_cast<float>(temperature);
  o.supcon.base_temperature = static_cast<float>(base_temperature);
  o.supcon.views = static_cast<int>(views);
  o.supcon.variant = choice("--variant", variant, variant_names);
  o.supcon.denominator = choice("--denominator", denominator, denominator_names);
  o.supcon.contrast = choice("--contrast", contrast, contrast_names);
  o.triplet.mining = choice("--mining", mining, mining_names);
  o.triplet.reduction = choice("--triplets", triplets, reduction_names);
  check_range("--positives-cap", positives_cap, positives_caps);
  o.supcon.positives_cap = static_cast<int>(positives_cap);
  check_range("--margin", margin.value_or(0), not_negative_numbers);
  if (margin) o.triplet.margin = o.max_margin.margin = static_cast<float>(*margin);
  check_range("--label-smoothing", label_smoothing, shares_below_one);
  o.label_smoothing = static_cast<float>(label_smoothing);

  for_each_loss_flag(*this, o.kind, [&](const char* flag, const auto& value, const auto& usual, bool is_used) {
    check_fits_loss(flag, value != usual, is_used, loss);
  });
  check(o.kind != LossKind::nt_xent || views >= 2, ExitCode::usage,
        "--loss {} with --views 1: positives are other views of the same image, and there are none; use "
        "--views 2",
        loss);
  check(o.kind != LossKind::n_pairs || views == 2, ExitCode::usage,
        "--loss n_pairs with --views {}: it compares first views with second ones; use --views 2", views);
  return o;
}

std::vector<std::string> LossFlags::leave_out_unused(
    LossKind kind, const std::function<bool(const std::string& flag)>& is_typed) {
  std::vector<std::string> left_out;
  for_each_loss_flag(*this, kind, [&](const char* flag, auto& value, const auto& usual, bool is_used) {
    if (is_used || value == usual || is_typed(flag)) return;
    value = usual;
    left_out.emplace_back(flag);
  });
  return left_out;
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
