#include <kindred/engine/error.h>
#include <kindred/third_party/dynamic_library.h>

#include <dlfcn.h>  // defines: dlopen, dlsym

namespace kindred {

DynamicLibrary::DynamicLibrary(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    handle_ = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
    if (handle_ != nullptr) {
      name_ = name;
      return;
    }
    if (problem_.empty()) problem_ = dlerror();
  }
}

void* DynamicLibrary::symbol(const char* name) const {
  check(is_open(), ExitCode::device, "a library is missing: {}; set LD_LIBRARY_PATH, or use --device cpu",
        problem_);
  void* found = dlsym(handle_, name);
  check(found != nullptr, ExitCode::device, "{} has no function {}: another version is needed", name_, name);
  return found;
}

}  // namespace kindred
