// The folder that a program writes its results to. It never mixes two runs and never overwrites one silently.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>

namespace kindred {

enum class ExistingRun { refuse, resume, overwrite };

// Creates the folder where there is none, and looks whether it holds a run already (one of `own_files`). That
// is refused with Error(usage), or accepted; nothing is removed. Error(io) when the folder cannot be made.
// Returns true when there is an earlier run to continue.
bool check_run_folder(const std::filesystem::path& folder, ExistingRun existing,
                      const std::vector<std::string>& own_files);

// Removes `own_files`: a run that is overwritten. Other files are never touched. Error(io).
void clear_run_folder(const std::filesystem::path& folder, const std::vector<std::string>& own_files);

// Writes pretty-printed JSON through a temporary file: the old file survives a full disk. Error(io).
void write_json(const std::filesystem::path& path, const nlohmann::json& value);

// Error(file) when it cannot be read or is not JSON.
nlohmann::json read_json(const std::filesystem::path& path);

// A line for each value. The old file survives a full disk. Error(io).
void write_json_lines(const std::filesystem::path& path, const std::vector<nlohmann::json>& values);

// The lines of a text file; none where there is no file.
std::vector<std::string> read_lines(const std::filesystem::path& path);

// Appends one line and flushes it. Error(io).
void append_json_line(const std::filesystem::path& path, const nlohmann::json& value);

}  // namespace kindred
