// Runs for the tests of reports: files as pretrain writes them, with random figures.
#pragma once

#include "../../engine/temporary_folder.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace kindred::test {

// The line of an epoch. Neighbours are measured in every `knn_every`-th one.
inline nlohmann::json random_line(int epoch, std::mt19937& random, int knn_every = 1) {
  std::uniform_real_distribution<double> share(0, 1);
  const auto spread = [&] {
    return nlohmann::json{{"mean", share(random)}, {"deviation", share(random) / 10}};
  };
  const bool is_measured = epoch % knn_every == 0;
  return {{"epoch", epoch},
          {"loss", 3 + share(random)},
          {"chance_loss", 4.5},
          {"lr", share(random)},
          {"views_per_second", 1000 * share(random)},
          {"step_views_per_second", 2000 * share(random)},
          {"data_wait", share(random)},
          {"seconds", 1 + share(random)},
          {"time", "2026-01-02T03:04:05Z"},
          {"knn_top1", is_measured ? nlohmann::json(share(random)) : nlohmann::json()},
          {"features",
           {{"alignment", share(random)},
            {"uniformity", -3 * share(random)},
            {"effective_rank", 20 * share(random)},
            {"positives_min", 1},
            {"positives_mean", 10 * share(random)},
            {"positives_histogram", {{1, 5}, {3, epoch}, {8, 2}}},
            {"anchors_without_positives", 0},
            {"similarity_own_views", spread()},
            {"similarity_other_positives", spread()},
            {"similarity_negatives", spread()}}}};
}

inline std::vector<nlohmann::json> random_lines(int epochs, unsigned seed, int knn_every = 1) {
  std::mt19937 random(seed);
  std::vector<nlohmann::json> lines;
  for (int epoch = 1; epoch <= epochs; ++epoch) lines.push_back(random_line(epoch, random, knn_every));
  return lines;
}

inline std::string as_text(const std::vector<nlohmann::json>& lines) {
  std::string text;
  for (const nlohmann::json& line : lines) text += line.dump() + "\n";
  return text;
}

inline nlohmann::json settings_of_drawn_run(int epochs) {
  return {{"data", "no/such/set"},
          {"epochs", epochs},
          {"loss", "supcon"},
          {"temperature", 0.1},
          {"batch_size", 256},
          {"image_size", 224},
          {"model", "resnet50"},
          {"lr", 0.1},
          {"optimizer", "sgd"},
          {"views", 2},
          {"weights", ""},
          {"seed", 0},
          {"recipe", ""},
          {"early_stop", 0},
          {"command", "pretrain x"},
          {"workers", 2},
          {"queue", 0},
          {"momentum", 0.9},
          {"loss_options", {{"variant", "out"}}}};
}

// Returns the folder of a run with these lines.
inline std::filesystem::path write_run(const TemporaryFolder& folder, const std::string& name,
                                       const std::vector<nlohmann::json>& lines,
                                       const nlohmann::json& settings) {
  const std::filesystem::path run = folder / name;
  std::filesystem::create_directories(run);
  write_bytes(run / "metrics.jsonl", as_text(lines));
  write_bytes(run / "config.json", settings.dump());
  return run;
}

}  // namespace kindred::test
