#include <kindred/apps/console/progress.h>
#include <kindred/apps/report/run_story.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace kindred {
namespace {

std::string accuracy_word(const std::string& measure) {
  return measure == "classifier_top1" ? "classifier" : measure == "knn_top1" ? "neighbours" : "loss";
}

// Of a kind of figures (EpochFigure); empty: not known.
std::string measure_of(const std::string& kind) {
  return kind == "classifier"   ? "classifier_top1"
         : kind == "neighbours" ? "knn_top1"
         : kind == "loss"       ? "loss"
                                : "";
}

// What the verdict's advice depends on.
LossOptions loss_in_settings(const RunFiles& run) {
  LossOptions loss;
  try {
    loss.kind = parse_loss(run.text("loss").value_or("supcon"));
  } catch (const Error&) {  // of a later version, or no loss at all
  }
  if (const auto temperature = run.number("temperature"))
    loss.supcon.temperature = static_cast<float>(*temperature);
  return loss;
}

// The lines that the verdict looks at, with nothing in them that was not checked.
RunState state_for_verdict(const RunFiles& run) {
  RunState state;
  state.untrained = run.untrained;
  const MetricTable& metrics = run.metrics;
  if (const auto row = metrics.newest_with("knn_top1")) {
    nlohmann::json line = {{"knn_top1", *metrics.at("knn_top1", *row)}};
    if (const auto chance = metrics.at("knn_chance", *row)) line["knn_chance"] = *chance;
    if (const auto images = metrics.at("knn_images", *row); images && *images >= 1 && *images <= 1e12)
      line["knn_images"] = *images;
    state.metrics.push_back(std::move(line));
  }
  nlohmann::json last = nlohmann::json::object();
  if (metrics.rows() > 0)
    if (const auto uniformity = metrics.at("features/uniformity", metrics.rows() - 1))
      last["features"] = {{"uniformity", *uniformity}};
  state.metrics.push_back(std::move(last));
  return state;
}

std::string as_sentence(std::string text) {
  constexpr std::string_view prefix = "verdict: ";
  if (text.starts_with(prefix)) text.erase(0, prefix.size());
  if (!text.empty()) text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text;
}

std::string time_taken(const MetricTable& metrics) {
  double seconds = 0;
  for (std::size_t row = 0; row < metrics.rows(); ++row) {
    const auto of_epoch = metrics.at("seconds", row);
    if (!of_epoch || *of_epoch < 0) return "";
    seconds += *of_epoch;
  }
  return " in " + format_rough_duration(seconds);
}

}  // namespace

std::string BestEpoch::in_words() const {
  if (measure != "loss" && figure < 0) return accuracy_word(measure) + " not measured then";
  return measure == "loss" ? fmt::format("loss {:.4f}", figure)
                           : fmt::format("{} {:.3f}", accuracy_word(measure), figure);
}

std::optional<BestEpoch> best_epoch_of(const MetricTable& metrics) {
  const std::string measure = metrics.find("classifier_top1") != nullptr ? "classifier_top1"
                              : metrics.find("knn_top1") != nullptr      ? "knn_top1"
                                                                         : "loss";
  const auto score_at = [&](std::size_t row) {
    const std::optional<double> figure = metrics.at(measure, row);
    return measure == "loss" ? -figure.value_or(0) : figure.value_or(-1);
  };
  std::optional<BestEpoch> best;
  double best_score = 0, best_loss = 0;
  for (std::size_t row = 0; row < metrics.rows(); ++row) {
    const std::optional<double> loss = metrics.at("loss", row);
    if (!loss) continue;  // every step was skipped: the model has not learned
    const double score = score_at(row);
    if (best && (score < best_score || (score == best_score && *loss > best_loss))) continue;
    best = BestEpoch{metrics.epochs[row], row, measure, metrics.at(measure, row).value_or(-1)};
    best_score = score;
    best_loss = *loss;
  }
  if (best && best->measure != "loss" && best->figure < 0) return std::nullopt;  // nothing was measured
  return best;
}

std::optional<BestEpoch> best_epoch_of(const RunFiles& run) {
  if (!run.best) return best_epoch_of(run.metrics);
  const MetricTable& metrics = run.metrics;
  const auto found = std::lower_bound(metrics.epochs.begin(), metrics.epochs.end(), run.best->epoch);
  if (found == metrics.epochs.end() || *found != run.best->epoch) return std::nullopt;
  const auto row = static_cast<std::size_t>(found - metrics.epochs.begin());
  std::string measure = measure_of(run.best->by);
  for (const char* const each : {"classifier_top1", "knn_top1", "loss"})
    if (measure.empty() && metrics.at(each, row)) measure = each;
  const auto figure = metrics.at(measure, row);
  if (measure.empty() || (measure == "loss" && !figure)) return std::nullopt;
  return BestEpoch{*found, row, measure, figure.value_or(-1)};
}

RunCondition condition_of(const RunFiles& run) {
  if (run.is_under_way) return RunCondition::under_way;
  if (run.was_not_finite) return RunCondition::not_finite;
  if (run.has_failed) return RunCondition::failed;
  const bool is_done = run.has_all_epochs() || run.ended_early;
  return is_done && !run.was_stopped ? RunCondition::finished : RunCondition::stopped;
}

std::string condition_in_words(const RunFiles& run) {
  const MetricTable& metrics = run.metrics;
  const std::int64_t done = metrics.rows() == 0 ? 0 : metrics.epochs.back();
  const auto epochs = run.number("epochs");
  const std::string so_far =
      (epochs && *epochs >= 1 && *epochs <= 1e9
           ? fmt::format("{} of {}", done, counted(static_cast<std::int64_t>(*epochs), "epoch"))
           : counted(done, "epoch")) +
      time_taken(metrics);
  switch (condition_of(run)) {
    case RunCondition::finished:
      return "finished: " + so_far + (run.has_all_epochs() ? "" : "; --early-stop has ended it");
    case RunCondition::under_way:
      return "under way: " + so_far;
    case RunCondition::not_finite:
      return (run.lists_not_finite
                  ? "failed: a loss or a gradient was not finite, non_finite.json says where; "
                  : "failed: its loss or gradients were not finite, so that its weights are of no use; ") +
             so_far;
    case RunCondition::failed:
      return "failed: an error has ended it, which pretrain has printed; " + so_far;
    case RunCondition::stopped:
      break;
  }
  return "stopped: " + so_far + (epochs ? "; pretrain --resume goes on with it" : "");
}

std::optional<Chance> chance_for(const RunFiles& run, const std::optional<Chance>& of_set) {
  std::optional<Chance> chance = of_set;
  const auto row = run.metrics.newest_with("knn_top1");
  if (!row) return chance;
  const auto accuracy = run.metrics.at("knn_chance", *row), images = run.metrics.at("knn_images", *row);
  if (accuracy && images && *accuracy >= 0 && *accuracy <= 1 && *images >= 1 && *images <= 1e12)
    chance = Chance{*accuracy, static_cast<std::int64_t>(*images)};
  return chance;
}

bool has_learned(const std::string& verdict) {
  return verdict.starts_with("The encoder has learned");
}

std::string verdict_in_words(const RunFiles& run, const std::optional<Chance>& chance) {
  const bool began_untrained = run.text("weights").value_or("").empty();
  const bool encoder_learns = run.text("freeze_until").value_or("") != "encoder";
  std::string text = as_sentence(
      verdict(state_for_verdict(run), chance, loss_in_settings(run), began_untrained, encoder_learns));
  if (!text.empty()) return text;
  const auto row = run.metrics.newest_with("knn_top1");
  if (!row) return "";
  text = fmt::format("Neighbours {:.3f}", *run.metrics.at("knn_top1", *row));
  if (run.untrained)
    text += fmt::format(", {} {:.3f}", began_untrained ? "untrained" : "before the first step", *run.untrained);
  return text + "; without the data set it is not known what chance is";
}

}  // namespace kindred
