// What a run reports about an epoch that has ended: a line of metrics.jsonl and a line on the terminal.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

struct EpochReport {
  std::int64_t epoch = 0, epochs = 0;    // this epoch, counted from 1; the number of epochs
  double loss = 0, chance_loss = 0;      // mean over the epoch's updates; loss of equal features
  double learning_rate = 0;              // of the last step
  double views_per_second = 0;           // including evaluation
  double step_views_per_second = 0;      // of the steps alone
  double data_wait = 0;                  // the fraction of the time in which the device waited for a batch
  std::optional<double> neighbours;      // top-1 of the nearest neighbours, if it was measured
  std::optional<double> probe_loss;      // mean loss of the online probe, if there is one
  std::optional<double> probe_accuracy;  // its top-1 accuracy, if it was measured
  std::int64_t skipped_steps = 0;        // steps without an update
  nlohmann::json features = nullptr;     // figures of the last batch (Diagnosis::look_at)

  nlohmann::json to_json() const;
  std::string to_string() const;
};

}  // namespace kindred
