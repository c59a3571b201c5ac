// The folder that a program writes its results to. It never mixes two runs and never overwrites one silently.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <filesystem>

namespace kindred {

enum class ExistingRun { refuse, resume, overwrite };

// Creates the folder if it does not exist and checks whether it already holds a run (one of `own_files`).
// Depending on `existing` an earlier run is refused with Error(usage) or accepted; nothing is removed. Returns
// true if there is an earlier run to continue. Throws Error(io) if the folder cannot be created.
bool check_run_folder(const std::filesystem::path& folder, ExistingRun existing,
                      const std::vector<std::string>& own_files);

// Removes `own_files`, when a run is overwritten. Other files are never touched. Throws Error(io).
void clear_run_folder(const std::filesystem::path& folder, const std::vector<std::string>& own_files);

// Writes formatted JSON through a temporary file, so the old file survives if the disk is full. Throws
// Error(io).
void write_json(const std::filesystem::path& path, const nlohmann::json& value);

// Throws Error(file) if the file cannot be read or is not JSON.
nlohmann::json read_json(const std::filesystem::path& path);

// Writes one line for each value. The old file survives if the disk is full. Throws Error(io).
void write_json_lines(const std::filesystem::path& path, const std::vector<nlohmann::json>& values);

// The lines of a text file; empty if there is no file.
std::vector<std::string> read_lines(const std::filesystem::path& path);

// Appends one line and flushes it. Throws Error(io).
void append_json_line(const std::filesystem::path& path, const nlohmann::json& value);

}  // namespace kindred
