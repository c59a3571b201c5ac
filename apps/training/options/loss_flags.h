// The flags of the losses.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

class CommandLine;

struct LossOptions;  // loss.h

// The loss flags other than --loss, --temperature and --base-temperature.
struct LossFlags {
  std::string variant = "out", denominator = "all", contrast = "all", mining = "batch-all", triplets = "active";
  std::int64_t positives_cap = 0;
  std::optional<double> margin;
  double label_smoothing = 0;

  void add_to(CommandLine& line);  // this object must outlive the parsing
  // Throws Error(usage), which names the flag and the values that it accepts. A flag that the loss does not use
  // is an error.
  LossOptions resolve(const std::string& loss, double temperature, double base_temperature,
                      std::int64_t views) const;
  nlohmann::json to_json() const;
};

// Throws Error(usage) if a flag was given that this loss does not use.
void check_fits_loss(const char* flag, bool is_given, bool fits, const std::string& loss);

}  // namespace kindred
