#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/run/epoch_report.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

namespace kindred {
namespace {

nlohmann::json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

// In megabytes and milliseconds. On a GPU no times are known.
nlohmann::json gradients_json(const GradientSums::Figures& figures) {
  nlohmann::json line = {{"buckets", figures.buckets}, {"started_early", figures.started_early}};
  if (figures.steps > 0) line["wait_ms"] = 1e3 * figures.seconds_waited / static_cast<double>(figures.steps);
  line["sent"] = nlohmann::json::array();
  for (const GradientSums::Figures::Sent& sent : figures.sent) {
    nlohmann::json bucket = {{"mb", static_cast<double>(sent.bytes) / 1e6}};
    if (figures.steps > 0) bucket["ms_ahead"] = 1e3 * sent.seconds_ahead;
    line["sent"].push_back(bucket);
  }
  return line;
}

}  // namespace

nlohmann::json EpochReport::to_json() const {
  nlohmann::json line = {{"epoch", epoch},
                         {"loss", number_or_null(loss)},
                         {"chance_loss", chance_loss},
                         {"lr", learning_rate},
                         {"views_per_second", views_per_second},
                         {"step_views_per_second", step_views_per_second},
                         {"data_wait", data_wait},
                         {"seconds", seconds},
                         {"time", time},
                         {"knn_top1", number_or_null(neighbours)},
                         {"features", features}};
  if (neighbours_of) {
    line["knn_images"] = *neighbours_of;
    line["knn_chance"] = neighbours_chance;
  }
  if (has_probe) {
    line["probe_loss"] = number_or_null(probe_loss);
    line["probe_top1"] = number_or_null(probe_accuracy);
  }
  if (has_classifier) {
    line["classifier_top1"] = number_or_null(classifier_top1);
    line["classifier_top5"] = number_or_null(classifier_top5);
  }
  if (skipped_steps > 0) line["skipped_steps"] = skipped_steps;
  if (processes > 1) {
    line["processes"] = processes;
    if (gradients) line["gradients"] = gradients_json(*gradients);
  }
  return line;
}

EpochFigure EpochReport::figure(bool run_measures) const {
  EpochFigure figure;
  figure.kind = !run_measures ? "loss" : has_classifier ? "classifier" : "neighbours";
  if (!loss) return figure;
  const std::optional<double> accuracy = has_classifier ? classifier_top1 : neighbours;
  figure.score = run_measures ? accuracy.value_or(-1) : -*loss;
  figure.is_measured = !run_measures || accuracy.has_value();
  return figure;
}

std::string EpochReport::to_string() const {
  std::string accuracies = neighbours ? fmt::format("neighbours {:.3f}  ", *neighbours) : "";
  if (probe_accuracy) accuracies += fmt::format("probe {:.3f}  ", *probe_accuracy);
  if (classifier_top1) accuracies += fmt::format("classifier {:.3f}  ", *classifier_top1);
  const std::string mean = loss ? fmt::format("{:.4f}", *loss) : "none";
  const std::string skipped =
      skipped_steps > 0 ? fmt::format("  {} skipped", counted(skipped_steps, "step")) : "";
  const std::string left = epoch < epochs ? fmt::format("  {} left", format_rough_duration(seconds_left)) : "";
  return fmt::format("epoch {}/{}  loss {} (chance {:.3f})  {}{:.0f} views/s  waiting for data {:.0f} %{}{}",
                     epoch, epochs, mean, chance_loss, accuracies, views_per_second, 100 * data_wait, skipped,
                     left);
}

}  // namespace kindred
