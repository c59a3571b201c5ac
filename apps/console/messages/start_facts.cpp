#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/engine/device_kernels.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

namespace kindred {
namespace {

constexpr std::array<std::string_view, 5> names_of_facts = {"version", "command", "started", started_in, "gpu"};

}  // namespace

nlohmann::json facts_of_start(const CommandLine& line, const DeviceChoice& device) {
  nlohmann::json facts = {{"version", kindred_version},
                          {"command", line.typed()},
                          {"device", name(device.device)},
                          {"started", time_in_utc()}};
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::current_path(error);
  if (!error) facts[started_in] = folder.string();
  if (device.device == Device::cuda) facts["gpu"] = gpu().probe().name;
  return facts;
}

bool is_fact_of_start(std::string_view name) {
  return std::find(names_of_facts.begin(), names_of_facts.end(), name) != names_of_facts.end();
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string shell_path(const std::string& path) {
  return shell_word(path.starts_with('-') ? "./" + path : path);
}

}  // namespace kindred
