#include <kindred/engine/error.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <dlfcn.h>  // defines: dlopen, dlsym, dlinfo
#include <link.h>   // defines: link_map

namespace kindred {

DynamicLibrary::DynamicLibrary(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (open(name)) return;
}

DynamicLibrary::DynamicLibrary(const std::vector<std::string>& names, const SearchEnvironment& environment)
    : DynamicLibrary(names) {
  if (is_open()) return;
  const LibrarySearch search = search_packages(names, environment);
  for (const std::filesystem::path& file : search.found) {
    const std::string before = std::exchange(problem_, "");
    if (open(file)) return;
    problem_ = fmt::format("{}; {}", before, problem_);
  }
  std::vector<std::string> places{"LD_LIBRARY_PATH", "the system's folders"};
  places.insert(places.end(), search.places.begin(), search.places.end());
  problem_ += fmt::format("; looked in {}", fmt::join(places, ", "));
  for (const std::filesystem::path& file : search.unsafe)
    problem_ += fmt::format("; {} is skipped: everybody may write there", file.string());
}

bool DynamicLibrary::open(const std::string& name) {
  handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle_ == nullptr) {
    if (problem_.empty()) problem_ = dlerror();
    return false;
  }
  problem_.clear();
  path_ = name;
  const link_map* entry = nullptr;
  if (dlinfo(handle_, RTLD_DI_LINKMAP, &entry) == 0 && entry->l_name != nullptr && entry->l_name[0] != '\0')
    path_ = entry->l_name;
  return true;
}

void* DynamicLibrary::symbol(const char* name) const {
  check(is_open(), ExitCode::device, Cause::missing_library, "a library is missing: {}", problem_);
  void* found = dlsym(handle_, name);
  check(found != nullptr, ExitCode::device, "{} has no function {}: another version is needed", path_.string(),
        name);
  return found;
}

}  // namespace kindred
