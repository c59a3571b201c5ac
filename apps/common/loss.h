// --loss and what goes with it: one name for each loss, one call, one value to compare with.
#pragma once

#include <kindred/data/loader.h>
#include <kindred/losses/max_margin/max_margin.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/triplet/triplet.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace kindred {

enum class LossKind : std::uint8_t { supcon, nt_xent, triplet, n_pairs, max_margin, cross_entropy };

// Everything that the loss of a step needs. Which members count depends on the kind.
struct LossOptions {
  LossKind kind = LossKind::supcon;
  SupConOptions supcon;  // its temperature and views are those of nt_xent and n_pairs as well
  TripletOptions triplet;
  MaxMarginOptions max_margin;
  float label_smoothing = 0;
  // Contrasts beyond the batch's own features.
  std::int64_t queue = 0;      // rows
  bool compares_keys = false;  // first views with a momentum encoder's keys of the others

  // What makes rows positives of each other is their image, not their class.
  bool by_image() const { return kind == LossKind::nt_xent; }
  // SupCon's formula, whatever makes positives.
  bool is_softmax() const { return kind == LossKind::supcon || kind == LossKind::nt_xent; }
  // Compares logits of a classifier with labels, not features with each other.
  bool classifies() const { return kind == LossKind::cross_entropy; }
};

// features [views*batch, dim] view-major, or logits where the loss classifies; labels i32 [views*batch]:
// classes, or image indices where it goes by image. -> scalar f32. `statistics` are left alone where the loss
// is no softmax.
Tensor loss_of(const Tensor& features, const Tensor& labels, const LossOptions& options,
               SupConStatistics* statistics = nullptr);

// What the loss shows when all features are alike, by which a run is judged: exact for the denominator `all`;
// for the others the mean over batches whose negatives are as frequent as `same_class`, the chance that two
// images share a class, makes them. For a classifier ln(classes), that of equal scores.
double collapse_loss(const LossOptions& options, std::int64_t batch, int classes, double same_class);

// Error(usage) for a flag that was given although the loss has no use for it.
void check_fits_loss(const char* flag, bool is_given, bool fits, const std::string& loss);

// The chance that two images of a set with these labels share a class.
double same_class_share(const std::vector<std::int32_t>& labels, int classes);

// The flags beside --loss, --temperature and --base-temperature.
struct LossFlags {
  std::string variant = "out", denominator = "all", contrast = "all", mining = "batch-all", triplets = "active";
  std::int64_t positives_cap = 0;
  std::optional<double> margin;
  double label_smoothing = 0;

  void add_to(CLI::App& app);  // the object must outlive the parsing
  // Error(usage) names the flag and what it accepts. A flag that the loss does not know is refused.
  LossOptions resolve(const std::string& loss, double temperature, double base_temperature,
                      std::int64_t views) const;
  nlohmann::json to_json() const;
};

}  // namespace kindred
