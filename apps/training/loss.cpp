#include <kindred/apps/training/loss.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/n_pairs/n_pairs.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <utility>

namespace kindred {
namespace {

template <typename T>
using Names = std::initializer_list<std::pair<const char*, T>>;

template <typename T>
T parse(const char* flag, const std::string& text, Names<T> names) {
  std::string known;
  for (const auto& [name, value] : names) {
    if (text == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fail(ExitCode::usage, "{} {}: expected one of {}", flag, text, known);
}

LossKind parse_kind(const std::string& text) {
  return parse<LossKind>("--loss", text,
                         {{"supcon", LossKind::supcon},
                          {"simclr", LossKind::nt_xent},
                          {"nt_xent", LossKind::nt_xent},
                          {"triplet", LossKind::triplet},
                          {"n_pairs", LossKind::n_pairs},
                          {"max_margin", LossKind::max_margin},
                          {"cross_entropy", LossKind::cross_entropy}});
}

}  // namespace

Tensor loss_of(const Tensor& features, const Tensor& labels, const LossOptions& options,
               SupConStatistics* statistics) {
  switch (options.kind) {
    case LossKind::supcon:
    case LossKind::nt_xent:  // its labels are image indices
      return supcon(features, labels, options.supcon, statistics);
    case LossKind::triplet:
      return triplet(features, labels, options.triplet);
    case LossKind::n_pairs:
      return n_pairs(features, labels, {options.supcon.temperature});
    case LossKind::max_margin:
      return max_margin(features, labels, options.max_margin);
    case LossKind::cross_entropy:
      return cross_entropy(features, labels, options.label_smoothing);
  }
  fail(ExitCode::internal, "an unknown loss");
}

double collapse_loss(const LossOptions& options, std::int64_t batch, int classes, double same_class) {
  const auto views = static_cast<double>(options.supcon.views);
  const double others = static_cast<double>(batch) - 1, rows = views * static_cast<double>(batch);
  const auto queue = static_cast<double>(options.queue);
  const double seen = options.compares_keys ? views - 1 : views;  // per image
  const double negatives = (seen * others + queue) * (options.by_image() ? 1 : 1 - same_class);
  switch (options.kind) {
    case LossKind::supcon:
    case LossKind::nt_xent: {
      double contrasts = seen * static_cast<double>(batch) + queue - (options.compares_keys ? 0 : 1);
      if (const auto cap = static_cast<double>(options.supcon.positives_cap); cap > 0)
        contrasts = negatives + std::min(cap, rows - 1 - negatives);
      if (options.supcon.denominator == SupConDenominator::one_positive) contrasts = negatives + 1;
      if (options.supcon.denominator == SupConDenominator::only_negatives) contrasts = negatives;
      const double scale =
          options.supcon.base_temperature > 0
              ? static_cast<double>(options.supcon.temperature) / options.supcon.base_temperature
              : 1;
      return contrasts > 1 ? scale * std::log(contrasts) : 0;
    }
    case LossKind::triplet:
      return triplet_collapse_value(options.triplet);
    case LossKind::n_pairs:
      return std::log1p(others * (1 - same_class));
    case LossKind::max_margin:
      return rows > 1 ? max_margin_collapse_value(options.max_margin, negatives / (rows - 1)) : 0;
    case LossKind::cross_entropy:
      return std::log(static_cast<double>(std::max(classes, 1)));
  }
  return 0;
}

void check_fits_loss(const char* flag, bool is_given, bool fits, const std::string& loss) {
  check(!is_given || fits, ExitCode::usage, "{} is not for --loss {}; leave it out", flag, loss);
}

double same_class_share(const std::vector<std::int32_t>& labels, int classes) {
  std::vector<double> shares(static_cast<std::size_t>(classes), 0.0);
  for (const std::int32_t label : labels) shares[static_cast<std::size_t>(label)] += 1.0 / labels.size();
  double sum = 0;
  for (const double share : shares) sum += share * share;
  return sum;
}

void LossFlags::add_to(CLI::App& app) {
  app.add_option("--variant", variant, "of supcon: the sum over positives out of the logarithm, or in it")
      ->capture_default_str();
  app.add_option("--denominator", denominator, "of supcon: all, one-positive or only-negatives")
      ->capture_default_str();
  app.add_option("--contrast", contrast, "anchors of supcon and simclr: all views, or one of each image")
      ->capture_default_str();
  app.add_option("--positives-cap", positives_cap,
                 "at most this many positives of an anchor, its image's views first; 0: all")
      ->capture_default_str();
  app.add_option("--mining", mining, "of triplet: batch-all, batch-hard or semi-hard")->capture_default_str();
  app.add_option("--triplets", triplets,
                 "of triplet: the mean over active ones (loss above 0), or over all that were chosen")
      ->capture_default_str();
  app.add_option("--margin", margin, "of triplet (0.2) and max_margin (1)");
  app.add_option("--label-smoothing", label_smoothing, "of cross_entropy")->capture_default_str();
}

LossOptions LossFlags::resolve(const std::string& loss, double temperature, double base_temperature,
                               std::int64_t views) const {
  LossOptions o;
  o.kind = parse_kind(loss);
  o.supcon.temperature = static_cast<float>(temperature);
  o.supcon.base_temperature = static_cast<float>(base_temperature);
  o.supcon.views = static_cast<int>(views);
  o.supcon.variant =
      parse<SupConVariant>("--variant", variant, {{"out", SupConVariant::out}, {"in", SupConVariant::in}});
  o.supcon.denominator = parse<SupConDenominator>("--denominator", denominator,
                                                  {{"all", SupConDenominator::all},
                                                   {"one-positive", SupConDenominator::one_positive},
                                                   {"only-negatives", SupConDenominator::only_negatives}});
  o.supcon.contrast = parse<SupConContrast>("--contrast", contrast,
                                            {{"all", SupConContrast::all}, {"one", SupConContrast::one}});
  o.triplet.mining = parse<TripletMining>("--mining", mining,
                                          {{"batch-all", TripletMining::batch_all},
                                           {"batch-hard", TripletMining::batch_hard},
                                           {"semi-hard", TripletMining::semi_hard}});
  o.triplet.reduction = parse<TripletReduction>(
      "--triplets", triplets, {{"active", TripletReduction::active}, {"chosen", TripletReduction::chosen}});
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
        "--loss {} with --views 1: there are no positives, which are an image's other views; use --views 2",
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
