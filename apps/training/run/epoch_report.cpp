#include <kindred/apps/training/run/epoch_report.h>

#include <fmt/core.h>

namespace kindred {
namespace {

nlohmann::json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

}  // namespace

nlohmann::json EpochReport::to_json() const {
  nlohmann::json line = {{"epoch", epoch},
                         {"loss", loss},
                         {"chance_loss", chance_loss},
                         {"lr", learning_rate},
                         {"views_per_second", views_per_second},
                         {"step_views_per_second", step_views_per_second},
                         {"data_wait", data_wait},
                         {"knn_top1", number_or_null(neighbours)},
                         {"features", features}};
  if (probe_loss) {
    line["probe_loss"] = *probe_loss;
    line["probe_top1"] = number_or_null(probe_accuracy);
  }
  if (skipped_steps > 0) line["skipped_steps"] = skipped_steps;
  return line;
}

std::string EpochReport::to_string() const {
  std::string accuracies = neighbours ? fmt::format("neighbours {:.3f}  ", *neighbours) : "";
  if (probe_accuracy) accuracies += fmt::format("probe {:.3f}  ", *probe_accuracy);
  return fmt::format("epoch {}/{}  loss {:.4f} (chance {:.3f})  {}{:.0f} views/s  waiting for data {:.0f} %",
                     epoch, epochs, loss, chance_loss, accuracies, views_per_second, 100 * data_wait);
}

}  // namespace kindred
