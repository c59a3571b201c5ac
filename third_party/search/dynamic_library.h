// A shared library that is opened when it is first needed, so that the program starts even if the library is
// missing.
#pragma once

#include <kindred/third_party/search/library_search.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

class DynamicLibrary {
 public:
  // Opens the first of `names` that is found by the rules of dlopen: LD_LIBRARY_PATH, then the system's
  // folders. The library is never closed, because its contents may be used until the process ends.
  explicit DynamicLibrary(const std::vector<std::string>& names);

  // The same. If nothing is found, it also searches Python's packages (library_search.h).
  DynamicLibrary(const std::vector<std::string>& names, const SearchEnvironment& environment);

  bool is_open() const { return handle_ != nullptr; }
  // Why it is not open, in one line: what dlopen reported, where else it searched, and which files it rejected.
  const std::string& problem() const { return problem_; }
  const std::filesystem::path& path() const { return path_; }  // of the opened file

  // Loads the function of that name. Throws Error(device) if the library does not have it.
  template <typename FunctionPointer>
  void load(FunctionPointer& function, const char* name) const {
    function = reinterpret_cast<FunctionPointer>(symbol(name));
  }

 private:
  bool open(const std::string& name);
  void* symbol(const char* name) const;

  void* handle_ = nullptr;
  std::filesystem::path path_;
  std::string problem_;
};

}  // namespace kindred
