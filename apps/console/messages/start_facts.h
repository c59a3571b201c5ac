// What a result says about the command that it came from.
#pragma once

#include <kindred/engine/device.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace kindred {

class CommandLine;

// The key of the folder in which the command was typed: relative paths in it are meant from there.
inline constexpr const char* started_in = "started_in";

// The key of what --device said, or of its default: "auto" where the "device" that was chosen is one of this machine.
inline constexpr const char* device_asked = "device_asked";

// "version" of Kindred, "command" as it was typed, "started_in" (above; not if that folder is gone), "device" that was
// chosen, on a GPU also "gpu", its name, and "started", the time of this call in UTC: "2025-03-01T09:30:00Z".
nlohmann::json facts_of_start(const CommandLine& line, const DeviceChoice& device);

// True for a name of the above that says nothing about what the program was asked to do. All but "device".
bool is_fact_of_start(std::string_view name);

// The text as one word of a shell's command.
std::string shell_word(const std::string& text);
// The same of a path, which no program takes for a flag: "./-set" for "-set".
std::string shell_path(const std::string& path);

}  // namespace kindred
