// A shared library that is opened when it is first needed, so that a program starts where it is missing.
#pragma once

#include <initializer_list>
#include <string>

namespace kindred {

class DynamicLibrary {
 public:
  // Opens the first of `names` that is found, by the rules of dlopen: LD_LIBRARY_PATH, then the system's
  // folders. Never closed: what it holds may be used until the process ends.
  explicit DynamicLibrary(std::initializer_list<const char*> names);

  bool is_open() const { return handle_ != nullptr; }
  const std::string& problem() const { return problem_; }  // why it is not open

  // The function of that name; Error(device) when the library has none.
  template <typename FunctionPointer>
  void load(FunctionPointer& function, const char* name) const {
    function = reinterpret_cast<FunctionPointer>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;

  void* handle_ = nullptr;
  std::string name_, problem_;
};

}  // namespace kindred
