// The small files of a run: JSON, alone or in lines. Also the names in a folder.
#pragma once

#include <kindred/engine/files/atomic_file.h>

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// The names in a folder that `wanted` accepts, in no order; none if the folder cannot be read.
std::vector<std::string> names_in(const std::filesystem::path& folder, bool (*wanted)(const std::string&));

// Writes formatted JSON through a temporary file, so the old file survives if the disk is full. Throws
// Error(io).
void write_json(const std::filesystem::path& path, const nlohmann::json& value,
                FileOperations& files = system_files());

// Throws Error(file) if the file cannot be read or is not JSON.
nlohmann::json read_json(const std::filesystem::path& path);

// Writes one line for each value, to a file of a run. The old file survives if the disk is full. Throws Error(io).
void write_json_lines(const std::filesystem::path& path, const std::vector<nlohmann::json>& values);

// The lines of a text file; empty if there is no file.
std::vector<std::string> read_lines(const std::filesystem::path& path);

// Whether the file has exactly the bytes that write_json_lines() would write.
bool has_json_lines(const std::filesystem::path& path, const std::vector<nlohmann::json>& values);

// Appends one line and flushes it. Throws Error(io).
void append_json_line(const std::filesystem::path& path, const nlohmann::json& value);

// If the path is a link, a file with the same bytes takes its place, so that nothing is written to what the link points to. A
// link to what is no file, or cannot be read, is removed. For small files of a run that goes on. Throws Error(io).
void put_file_for_link(const std::filesystem::path& path);

}  // namespace kindred
