#include <kindred/third_party/search/program_module.h>

#include <fmt/core.h>

#include <cstdlib>
#include <vector>

// KINDRED_LIBRARIES_FROM_PROGRAMS: the folder of libraries, as seen from that of programs; from third_party/CMakeLists.txt.

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::string path_of_environment(const ProgramModule& module) {
  const char* const path = *module.variable != '\0' ? secure_getenv(module.variable) : nullptr;
  return path == nullptr ? "" : path;
}

// In the order in which they are tried.
std::vector<fs::path> places_of(const ProgramModule& module) {
  std::error_code error;
  const fs::path programs = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  std::vector<fs::path> places;
  for (const char* folder : {
           ".", KINDRED_LIBRARIES_FROM_PROGRAMS "/kindred",
           "../../" KINDRED_LIBRARIES_FROM_PROGRAMS "/kindred",  // of programs in share/kindred/bin
           "../third_party", "../../third_party"                 // of the build, and of its emulated programs
       })
    places.push_back((programs / folder / module.file_name).lexically_normal());
  return places;
}

}  // namespace

fs::path module_file(const ProgramModule& module) {
  std::error_code error;
  if (const std::string given = path_of_environment(module); !given.empty())
    return fs::is_regular_file(given, error) ? fs::absolute(given, error) : fs::path();
  for (const fs::path& place : places_of(module))
    if (fs::is_regular_file(place, error)) return place;
  return {};
}

std::string why_no_module(const ProgramModule& module) {
  if (const std::string given = path_of_environment(module); !given.empty())
    return fmt::format("{} is {}, which is no file; expected a {}", module.variable, given, module.file_name);
  if (!module.left_out.empty()) return std::string(module.left_out);
  std::string text;
  for (const fs::path& place : places_of(module))
    text += (text.empty() ? "" : ", ") + place.parent_path().string();
  const std::string variable =
      *module.variable != '\0' ? fmt::format(", or name its path in {}", module.variable) : "";
  return fmt::format("{} is in none of {}; copy it there{}", module.file_name, text, variable);
}

DynamicLibrary open_module(const ProgramModule& module, const ModuleUse& use) {
  const fs::path file = module_file(module);
  check(!file.empty(), use.code, "{}, and {}", use.need, why_no_module(module));
  DynamicLibrary library({file.string()});
  check(library.is_open(), use.code, "{}, and {} does not open: {}; {}", use.need, file.string(),
        library.problem(), use.advice);
  return library;
}

}  // namespace kindred
