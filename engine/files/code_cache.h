// Code compiled for this machine's GPU, kept between runs in the user's own cache: $XDG_CACHE_HOME/kindred, or
// ~/.cache/kindred.
//
// Compiling takes a second or two per shape, reading a few milliseconds. Code from the cache is executed
// without further checks. It is therefore read only from files that belong to the user and that nobody else can
// write, and never from a run's folder, which may come from anybody. A cache that is missing, damaged or not
// writable costs time and nothing else.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace kindred {

class CodeCache {
 public:
  static constexpr std::size_t most_files = 1000;  // beyond this the oldest files are removed

  explicit CodeCache(std::filesystem::path folder);  // with an empty path nothing is kept

  // `name` describes completely what the code is for: the shape, the library's version, the GPU.
  std::optional<std::string> find(const std::string& name) const;
  void remember(const std::string& name, const std::string& code) const;

 private:
  std::filesystem::path path_of(const std::string& name) const;

  std::filesystem::path folder_;
};

// The user's cache.
const CodeCache& code_cache();

}  // namespace kindred
