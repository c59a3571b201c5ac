#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

namespace kindred {
namespace {

// A number of an epoch's line, if it is there.
std::optional<double> number_in(const nlohmann::json& line, const char* key) {
  if (!line.is_object()) return std::nullopt;
  const auto value = line.find(key);
  if (value == line.end() || !value->is_number()) return std::nullopt;
  return value->get<double>();
}

// The line of the newest epoch that has a figure of the nearest neighbours; null if none has.
const nlohmann::json* newest_measured(const RunState& run) {
  for (auto line = run.metrics.rbegin(); line != run.metrics.rend(); ++line)
    if (number_in(*line, "knn_top1")) return &*line;
  return nullptr;
}

std::optional<double> newest_neighbours(const RunState& run) {
  const nlohmann::json* const line = newest_measured(run);
  return line != nullptr ? number_in(*line, "knn_top1") : std::nullopt;
}

std::optional<double> last_uniformity(const RunState& run) {
  if (run.metrics.empty() || !run.metrics.back().is_object()) return std::nullopt;
  const auto features = run.metrics.back().find("features");
  return features == run.metrics.back().end() ? std::nullopt : number_in(*features, "uniformity");
}

std::optional<double> seconds_of(const RunState& run) {
  double total = 0;
  for (const nlohmann::json& line : run.metrics) {
    const auto seconds = number_in(line, "seconds");
    if (!seconds) return std::nullopt;
    total += *seconds;
  }
  return total;
}

}  // namespace

Chance chance_of(const Dataset& evaluation) {
  Chance chance = chance_among(evaluation.labels(), evaluation.classes());
  chance.images = std::min(chance.images, most_images_measured);
  return chance;
}

Chance chance_of(const RunState& run, const Dataset& evaluation) {
  Chance chance = chance_of(evaluation);
  const nlohmann::json* const line = newest_measured(run);
  if (line == nullptr) return chance;
  chance.accuracy = number_in(*line, "knn_chance").value_or(chance.accuracy);
  if (const auto images = number_in(*line, "knn_images")) chance.images = static_cast<std::int64_t>(*images);
  return chance;
}

namespace {

void print_left_out(const std::vector<BadImage>& bad) {
  const auto is_left_out = [](const BadImage& image) { return image.outcome == Outcome::rejected; };
  const auto example = std::find_if(bad.begin(), bad.end(), is_left_out);
  if (example == bad.end()) return;
  const auto count = static_cast<std::size_t>(std::count_if(bad.begin(), bad.end(), is_left_out));
  fmt::print("warning: of those to evaluate on, {}\n", left_out_line(count, *example));
}

}  // namespace

bool is_clearly_above(double accuracy, double other, std::int64_t images) {
  const auto count = static_cast<double>(std::max<std::int64_t>(1, images));
  return accuracy > other + 2 * std::sqrt(other * (1 - other) / count);
}

bool is_above_chance(const RunState& run, std::optional<double> now, const std::optional<Dataset>& evaluation) {
  if (!evaluation) return false;
  if (!now) now = newest_neighbours(run);
  if (!now) now = run.untrained;
  const Chance chance = chance_of(run, *evaluation);
  return now && is_clearly_above(*now, chance.accuracy, chance.images);
}

std::optional<double> measure_start(Learner& learner, const PretrainOptions& o, Device device,
                                    const Dataset& train, const std::optional<Dataset>& evaluation) {
  if (!evaluation || o.knn_every == 0) return std::nullopt;
  const Accuracies measured = measure_accuracies(learner, o, device, train, *evaluation);
  if (agreed_interrupt_signal(world()) != 0) return std::nullopt;
  print_left_out(measured.bad_images);
  if (!measured.neighbours) return std::nullopt;
  fmt::print("before the first step: neighbours {:.3f} (chance {:.3f})\n", *measured.neighbours,
             measured.chance.value_or(chance_of(*evaluation)).accuracy);
  return measured.neighbours;
}

std::string verdict(const RunState& run, const std::optional<Chance>& chance, const LossOptions& loss,
                    bool began_untrained, bool encoder_learns) {
  const std::optional<double> figure = chance ? newest_neighbours(run) : std::nullopt,
                              uniformity = last_uniformity(run);
  const double neighbours = figure.value_or(0);
  const bool above_chance = figure && is_clearly_above(neighbours, chance->accuracy, chance->images);
  const bool is_equal = uniformity && *uniformity > collapsed_uniformity;
  if (encoder_learns && is_equal && !above_chance)
    return fmt::format(
        "verdict: the encoder has collapsed: all features are nearly equal (uniformity {:.3f}); {}",
        *uniformity, advice_on_collapse(loss));
  // The figures are of the encoder's own features, uniformity is of what the head makes of them.
  const std::string of_head =
      is_equal ? fmt::format("the outputs of the head are nearly equal (uniformity {:.3f})", *uniformity) : "";
  if (!figure && !encoder_learns && is_equal)
    return "verdict: the encoder is frozen, and its features are those that the run began with; " + of_head;
  if (!figure) return "";
  const std::string before = began_untrained ? "untrained" : "before the first step";
  const std::string figures =
      fmt::format("neighbours {:.3f} on {}{}, chance {:.3f}", neighbours, counted(chance->images, "image"),
                  run.untrained ? fmt::format(", {} {:.3f}", before, *run.untrained) : "", chance->accuracy);
  if (!encoder_learns)
    return "verdict: the encoder is frozen, and its features are those that the run began with: " + figures +
           (is_equal ? "; " + of_head : "");
  if (!above_chance)
    return "verdict: no clear sign of learning, the features are as good as chance: " + figures;
  const char* const those = began_untrained ? "those of an untrained encoder" : "those that the run began with";
  if (run.untrained && is_clearly_above(*run.untrained, neighbours, chance->images))
    return fmt::format("verdict: the features are worse than {}: {}", those, figures);
  if (run.untrained && !is_clearly_above(neighbours, *run.untrained, chance->images))
    return fmt::format("verdict: the features are not clearly better than {}: {}", those, figures);
  return "verdict: the encoder has learned: " + figures;
}

std::string describe_epochs(const RunState& run, std::optional<std::int64_t> best, const std::string& figure) {
  if (run.metrics.empty()) return "";
  std::string text = counted(run.metrics.size(), "epoch");
  if (const auto seconds = seconds_of(run)) text += " took " + format_rough_duration(*seconds);
  if (best) text += fmt::format("; the best was epoch {}{}", *best, figure.empty() ? "" : " (" + figure + ")");
  return text;
}

std::string early_end(const RunState& run, std::int64_t epochs, std::int64_t early_stop,
                      std::optional<std::int64_t> best) {
  if (run.epochs_done >= epochs || !run.is_finished(epochs, early_stop)) return "";
  const std::int64_t improved = run.epochs_done - run.stale_epochs;  // the last epoch that did; 0: none
  std::string text = fmt::format("--early-stop {}: the figure has not improved for {}, and the run ends",
                                 early_stop, counted(run.stale_epochs, "epoch"));
  if (best && improved > 0 && *best > improved)
    text += fmt::format("; epoch {} has the same figure as epoch {}, and counts as the best because {}", *best,
                        improved, run.best_by == "loss" ? "it is later" : "its loss is not higher");
  return text;
}

std::string next_command(const PretrainOptions& o, bool has_evaluation, bool classifies,
                         const std::string& unlabelled) {
  const std::filesystem::path out = o.out;
  const auto in_run = [&](const char* name) { return shell_path((out / name).string()); };
  const std::string encoder = " --encoder " + in_run(encoder_name);
  if (classifies)
    return command_of_program("classify") + " IMAGE.jpg" + encoder + " --classifier " + in_run(classifier_name);
  if (has_evaluation)
    return command_of_program("linear_probe") + " " + o.data.words() + encoder + " --out " + in_run("probe");
  const std::string images = unlabelled.empty() ? o.data.words() + " --split train" : shell_path(unlabelled);
  return command_of_program("embed") + " " + images + encoder + " --out " + in_run("features.npz");
}

std::string closing_files(const PretrainOptions& o, std::size_t bad_images, std::optional<std::int64_t> best) {
  const std::filesystem::path out = o.out;
  std::string text;
  if (bad_images > 0) text += bad_images_line(bad_images, out / "bad_images.tsv") + "\n";
  text += fmt::format("encoder: {}\n", (out / encoder_name).string());
  if (best) text += fmt::format("best encoder: {} (epoch {})\n", (out / best_encoder_name).string(), *best);
  if (loss_options(o).classifies()) {
    text += fmt::format("classifier: {}\n", (out / classifier_name).string());
    if (best)
      text += fmt::format("best classifier: {} (epoch {})\n", (out / best_classifier_name).string(), *best);
  }
  return text + fmt::format("peak memory of the process: {}\n",
                            format_bytes(static_cast<double>(peak_resident_bytes())));
}

std::string closing_lines(const PretrainOptions& o, const RunState& run, std::optional<std::int64_t> best,
                          const Dataset& train, const std::optional<Dataset>& evaluation) {
  const LossOptions loss = loss_options(o);
  std::string figure;  // of the best epoch
  if (run.best && run.best_by == "loss")
    figure = fmt::format("loss {:.4f}", -*run.best);
  else if (run.best && *run.best >= 0)
    figure = fmt::format("{} {:.3f}", run.best_by, *run.best);
  const std::optional<Chance> chance = evaluation ? std::optional(chance_of(run, *evaluation)) : std::nullopt;
  const std::string unlabelled = train.origin().has_classes() ? "" : train.origin().folder;
  std::string lines;
  for (const std::string& line :
       {early_end(run, o.epochs, o.early_stop, best),
        verdict(run, chance, loss, o.weights.empty(), !freezes_encoder(o)), describe_epochs(run, best, figure),
        "next: " + next_command(o, evaluation.has_value(), loss.classifies(), unlabelled)})
    if (!line.empty()) lines += line + "\n";
  return lines;
}

}  // namespace kindred
