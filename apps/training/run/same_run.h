// Checks whether the run to be resumed is the one that was started.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// A fingerprint of a data set, as 16 hexadecimal digits. It covers classes, labels and the file names without
// their folder, so it does not change if the set is moved or packed. Of a list of images it covers their paths as in
// the list; so a pack of them has another one.
std::string data_fingerprint(const Dataset& dataset);

// RUN/config.json, or null if there is none. Throws Error(file) if it cannot be read.
nlohmann::json settings_of_run(const std::filesystem::path& run);

// "lr was 0.1, now 0.5": every setting that affects the course of a run and that differs from RUN/config.json.
std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now);

}  // namespace kindred
