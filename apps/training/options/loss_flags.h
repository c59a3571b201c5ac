// The flags of the losses.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

class CommandLine;

enum class LossKind : std::uint8_t;  // loss.h
struct LossOptions;

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
  // Gives the flags that this loss does not use their usual values, except for those that were typed. Returns the names
  // of those that had another value.
  std::vector<std::string> leave_out_unused(LossKind kind,
                                            const std::function<bool(const std::string& flag)>& is_typed);
};

// The value of --loss. Throws Error(usage), which lists the known names.
LossKind parse_loss(const std::string& loss);

// Throws Error(usage) if a flag was given that this loss does not use.
void check_fits_loss(const char* flag, bool is_given, bool fits, const std::string& loss);

}  // namespace kindred
