// Written files in the place of those in /proc and /sys. A program reads them if the environment has
// KINDRED_PSEUDO_FILES=root (apps/console/process_memory.h).
#pragma once

#include "../engine/temporary_folder.h"

#include <filesystem>
#include <string>

namespace kindred {

// Writes a pseudo file, for example "proc/meminfo", below `root`.
inline void write_pseudo_file(const std::filesystem::path& root, const std::string& name,
                              const std::string& text) {
  const std::filesystem::path path = root / name;
  std::filesystem::create_directories(path.parent_path());
  write_bytes(path, text);
}

}  // namespace kindred
