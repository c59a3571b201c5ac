// Code that was compiled for the GPU of this machine, kept from run to run in the user's own cache:
// $XDG_CACHE_HOME/kindred, or ~/.cache/kindred.
//
// Compiling takes a second or two for each shape, reading some milliseconds. What is read is run as it is, so
// it is taken from nowhere but files that belong to the user and that nobody else can write: never from a run's
// folder, which may come from anybody. A cache that is missing, damaged or cannot be written costs time and
// nothing else.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace kindred {

class CodeCache {
 public:
  static constexpr std::size_t most_files = 1000;  // the oldest make room

  explicit CodeCache(std::filesystem::path folder);  // an empty path: nothing is kept

  // `name` says what the code is for, whole: the shape, the library's version, the GPU.
  std::optional<std::string> find(const std::string& name) const;
  void remember(const std::string& name, const std::string& code) const;

 private:
  std::filesystem::path path_of(const std::string& name) const;

  std::filesystem::path folder_;
};

// The user's.
const CodeCache& code_cache();

}  // namespace kindred
