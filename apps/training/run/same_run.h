// Checks whether the run to be resumed is the one that was started.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// RUN/config.json, or null if there is none. Throws Error(file) if it cannot be read, with what is left to do.
nlohmann::json settings_of_run(const std::filesystem::path& run);

// "lr was 0.1, now 0.5": every setting that affects the course of a run and that differs from RUN/config.json.
std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now);

}  // namespace kindred
