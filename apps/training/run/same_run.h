// Checks whether the run to be resumed is the one that was started.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// RUN/config.json, or null if there is none. Throws Error(file) if it cannot be read, with what is left to do.
nlohmann::json settings_of_run(const std::filesystem::path& run);

// Whether config.json would say something else of the run as it goes on: `now` with any setting, also one that may change
// freely, and `facts` (facts_of_start()), of which only the device counts, and the folder from which relative paths are meant.
// Another place of the same evaluation images is no difference.
bool says_other_settings(const nlohmann::json& before, const nlohmann::json& now, const nlohmann::json& facts);

// "lr was 0.1, now 0.5": every setting that affects the course of a run and that differs from RUN/config.json.
std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now);

}  // namespace kindred
