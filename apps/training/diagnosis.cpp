#include <kindred/apps/console/messages/figure_text.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

constexpr std::int64_t most_rows = 1024;  // rows from which the figures of an epoch are computed

nlohmann::json figures_json(const Spread& spread) {
  if (spread.count == 0) return nullptr;
  nlohmann::json histogram = nlohmann::json::array();  // the middle of each bin with cosines, and how many
  for (int bin = 0; bin < cosine_bins; ++bin)
    if (const std::int64_t cosines = spread.bins[static_cast<std::size_t>(bin)]; cosines > 0)
      histogram.push_back({(2.0 * bin + 1) / cosine_bins - 1, cosines});
  return {{"mean", spread.mean}, {"deviation", spread.deviation}, {"histogram", histogram}};
}

nlohmann::json figures_json(const FeatureDiagnostics& d) {
  nlohmann::json histogram = nlohmann::json::array();
  for (const auto& [positives, anchors] : d.anchors_by_positives) histogram.push_back({positives, anchors});
  return {{"rows", d.rows},
          {"alignment", d.alignment},
          {"uniformity", d.uniformity},
          {"effective_rank", d.effective_rank},
          {"positives_min", d.anchors_by_positives.begin()->first},
          {"positives_mean", d.mean_positives()},
          {"positives_histogram", histogram},
          {"anchors_without_positives", d.anchors_without_positives()},
          {"similarity_own_views", figures_json(d.own_views)},
          {"similarity_other_positives", figures_json(d.other_positives)},
          {"similarity_negatives", figures_json(d.negatives)}};
}

// A similarity of rows that are not finite is none itself; the other figures do not show it.
bool is_finite(const FeatureDiagnostics& d) {
  return std::isfinite(d.own_views.mean) && std::isfinite(d.other_positives.mean) &&
         std::isfinite(d.negatives.mean);
}

std::string spread_text(const Spread& spread) {
  if (spread.count == 0 || !std::isfinite(spread.mean)) return "none";
  return fmt::format("{} +- {}", figure_text(spread.mean, 2), figure_text(spread.deviation, 2));
}

bool has_temperature(const LossOptions& loss) {
  return loss.kind == LossKind::supcon || loss.kind == LossKind::nt_xent || loss.kind == LossKind::n_pairs;
}

}  // namespace

void Diagnosis::see(const std::vector<std::int32_t>& labels, const std::vector<std::int64_t>& indices,
                    const std::vector<std::int64_t>& drawn) {
  images_ = indices;
  labels_ = labels;
  ++batches_;
  std::vector<std::int64_t> sorted = drawn;
  std::sort(sorted.begin(), sorted.end());
  if (sorted == sorted_before_) ++repeated_batches_;
  rows_ += static_cast<std::int64_t>(sorted.size());
  sorted_before_ = sorted;
  repeated_images_ += std::distance(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (std::all_of(labels_.begin(), labels_.end(), [&](std::int32_t label) { return label == labels_.front(); }))
    ++one_class_batches_;
}

nlohmann::json Diagnosis::look_at(const Tensor& features, const Tensor& positives) {
  if (loss_.classifies() || !features.defined()) return nullptr;
  // Takes all views of the first images, not parts of images.
  const auto views = static_cast<std::size_t>(loss_.supcon.views), batch = images_.size();
  const std::size_t taken = std::min(batch, static_cast<std::size_t>(most_rows) / views);
  const auto dim = static_cast<std::size_t>(features.dim(1));
  const std::vector<float> all = features.to_vector<float>();
  std::vector<float> rows;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> images;
  for (std::size_t view = 0; view < views; ++view) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(view * batch * dim);
    rows.insert(rows.end(), first, first + static_cast<std::ptrdiff_t>(taken * dim));
    for (std::size_t i = 0; i < taken; ++i) {
      labels.push_back(loss_.by_image() ? static_cast<std::int32_t>(images_[i]) : labels_[i]);
      images.push_back(images_[i]);
    }
  }
  features_ = diagnose(rows, static_cast<std::int64_t>(dim), labels, images);
  if (positives.defined()) {  // of all anchors, including the effects of a queue or a cap
    features_->anchors_by_positives.clear();
    for (const std::int32_t count : positives.to_vector<std::int32_t>())
      ++features_->anchors_by_positives[count];
  }
  return figures_json(*features_);
}

void Diagnosis::finish_epoch(std::int64_t epoch, std::optional<double> loss, double collapse,
                             bool learns_in_warm_up) {
  warnings_.clear();
  line_.clear();
  if (!loss) features_.reset();
  if (features_) {
    const FeatureDiagnostics& d = *features_;
    const auto figure = [&](double value, int decimals) {
      return is_finite(d) ? figure_text(value, decimals) : "none";
    };
    line_ = fmt::format(
        "alignment {}  uniformity {}  rank {}  positives {} to {} (mean {:.1f}), {} "
        "without  "
        "similarity of positives {}, negatives {}",
        figure(d.alignment, 3), figure(d.uniformity, 2), figure(d.effective_rank, 1),
        d.anchors_by_positives.begin()->first, d.anchors_by_positives.rbegin()->first, d.mean_positives(),
        counted(d.anchors_without_positives(), "anchor"), figure(1 - d.alignment / 2, 2),
        spread_text(d.negatives));
  }
  judge(epoch, loss.value_or(0), collapse, learns_in_warm_up);
  batches_ = repeated_batches_ = one_class_batches_ = rows_ = repeated_images_ = 0;
  features_.reset();
}

void Diagnosis::warn(const char* kind, const std::string& sentence) {
  if (std::find(said_.begin(), said_.end(), kind) != said_.end()) return;
  said_.push_back(kind);
  warnings_.push_back(sentence);
}

void Diagnosis::judge_spread(double loss, double collapse, const WordsOnSpread& words) {
  const FeatureDiagnostics& d = *features_;
  if (d.uniformity > collapsed_uniformity)
    warn(words.kind, fmt::format("{} are nearly equal (uniformity {:.3f}, loss {:.3f}, {:.3f} if equal){}",
                                 words.equal, d.uniformity, loss, collapse, words.if_equal));
  else if (d.effective_rank < 2)
    warn(words.kind,
         fmt::format("{} use {:.1f} directions of many{}", words.few, d.effective_rank, words.if_few));
}

void Diagnosis::judge_collapse(double loss, double collapse) {
  judge_spread(loss, collapse,
               {.kind = "collapse",
                .equal = "all features",
                .if_equal = ": the encoder has collapsed; " + advice_on_collapse(loss_),
                .few = "the features",
                .if_few = fmt::format(": they are collapsing; try a lower --lr{}",
                                      has_temperature(loss_) ? " or a higher --temperature" : "")});
}

// The head of a frozen encoder begins with random weights, which may give nearly equal outputs for good features.
void Diagnosis::judge_head(double loss, double collapse) {
  const std::string stays = "; the encoder is frozen, and its features stay as they were";
  judge_spread(loss, collapse,
               {.kind = "head",
                .equal = "the outputs of the head",
                .if_equal = stays,
                .few = "the outputs of the head",
                .if_few = stays});
}

void Diagnosis::judge(std::int64_t epoch, double loss, double collapse, bool learns_in_warm_up) {
  if (batches_ > 1 && 2 * repeated_batches_ > batches_)
    warn("repeated batches",
         "most batches hold the same images as the one before; use a smaller --batch-size, or more images");
  if (10 * repeated_images_ > rows_)
    warn(
        "repeated images",
        fmt::format("{:.0f} % of the images occur more than once in their batch; use a smaller --batch-size or "
                    "--per-class, or --sampling uniform",
                    100.0 * static_cast<double>(repeated_images_) / static_cast<double>(rows_)));
  if (!loss_.by_image() && classes_ > 1 && batches_ > 0 && 2 * one_class_batches_ > batches_ &&
      images_.size() > 1)
    warn("one class",
         "most batches hold one class only, so the loss has no negatives; use a larger --batch-size, or "
         "check how the images are labelled");
  if (!features_ || features_->rows < 4 || !is_finite(*features_)) return;
  if (!encoder_learns_)
    judge_head(loss, collapse);
  else if (!learns_in_warm_up)
    judge_collapse(loss, collapse);
  const FeatureDiagnostics& d = *features_;
  // Meaningless labels: an image's own views have come together, but those of its class have not.
  const bool enough =
      epoch >= 3 && d.own_views.count > 0 && d.other_positives.count > 100 && d.negatives.count > 100;
  if (enough && !loss_.by_image() && d.own_views.mean - d.negatives.mean > 0.2 &&
      d.other_positives.mean - d.negatives.mean < 0.02)
    warn("shuffled labels",
         fmt::format(
             "images of one class are not more similar (similarity {:.2f}) than images of different classes "
             "({:.2f}), though views of one image are ({:.2f}): the labels may be shuffled or belong to other "
             "images; look at some with check_data",
             d.other_positives.mean, d.negatives.mean, d.own_views.mean));
}

std::string advice_on_non_finite(const LossOptions& loss) {
  return has_temperature(loss) ? "try a lower --lr or a higher --temperature" : "try a lower --lr";
}

std::string advice_on_collapse(const LossOptions& loss) {
  constexpr double usual = 0.1;  // the temperature in float, which is not exactly this
  if (has_temperature(loss) && std::abs(static_cast<double>(loss.supcon.temperature) - usual) > 0.01)
    return "try a lower --lr, more --warmup-epochs, or a --temperature of 0.1";
  return "try a lower --lr or more --warmup-epochs";
}

std::vector<std::string> warnings_at_start(const LossOptions& loss, const std::vector<std::int32_t>& labels,
                                           bool half_precision) {
  std::vector<std::string> warnings;
  const double temperature = loss.supcon.temperature, risky = half_precision ? 0.03 : 0.01;
  if (has_temperature(loss) && temperature < risky)
    warnings.push_back(
        fmt::format("--temperature {:g} multiplies gradients by {:.0f}, which makes values that are not finite "
                    "likely; 0.05 to "
                    "0.5 is usual",
                    temperature, 1 / temperature));
  const bool one_class = !labels.empty() && std::all_of(labels.begin(), labels.end(), [&](std::int32_t label) {
    return label == labels.front();
  });
  if (!loss.by_image() && one_class)
    warnings.push_back(
        "all training images have the same label, so there are no classes to separate; use --loss simclr, "
        "which needs no labels, or check the folders of the classes");
  return warnings;
}

}  // namespace kindred
