#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_library.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

// KINDRED_WITHOUT_MPI: why this build has no module, "" if it has one. KINDRED_LIBRARIES_FROM_PROGRAMS: the folder of
// libraries, as seen from that of programs. Both are from third_party/CMakeLists.txt.

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* module_name = "libkindred_mpi.so";

std::string module_of_environment() {
  const char* const path = secure_getenv("KINDRED_MPI_MODULE");
  return path == nullptr ? "" : path;
}

// In the order in which they are tried.
std::vector<fs::path> module_places() {
  std::error_code error;
  const fs::path programs = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  std::vector<fs::path> places;
  for (const char* folder : {
           ".", KINDRED_LIBRARIES_FROM_PROGRAMS "/kindred",
           "../../" KINDRED_LIBRARIES_FROM_PROGRAMS "/kindred",  // of programs in share/kindred/bin
           "../third_party", "../../third_party"                 // of the build, and of its emulated programs
       })
    places.push_back((programs / folder / module_name).lexically_normal());
  return places;
}

// "" if there is none.
fs::path module_file() {
  std::error_code error;
  if (const std::string given = module_of_environment(); !given.empty())
    return fs::is_regular_file(given, error) ? fs::absolute(given, error) : fs::path();
  for (const fs::path& place : module_places())
    if (fs::is_regular_file(place, error)) return place;
  return {};
}

std::string why_no_module() {
  if (const std::string given = module_of_environment(); !given.empty())
    return fmt::format("KINDRED_MPI_MODULE is {}, which is no file; expected a {}", given, module_name);
  constexpr std::string_view left_out = KINDRED_WITHOUT_MPI;
  if (!left_out.empty()) return std::string(left_out);
  std::string text;
  for (const fs::path& place : module_places())
    text += (text.empty() ? "" : ", ") + place.parent_path().string();
  return fmt::format("{} is in none of {}; copy it there, or name its path in KINDRED_MPI_MODULE", module_name,
                     text);
}

const MpiCalls& open_module() {
  const fs::path file = module_file();
  check(!file.empty(), ExitCode::device, "several processes need MPI, and {}", why_no_module());
  const DynamicLibrary library({file.string()});
  check(library.is_open(), ExitCode::device,
        "several processes need MPI, and {} does not open: {}; install the MPI that it was built with (of Open "
        "MPI the package openmpi-bin), or build Kindred with the one that is here",
        file.string(), library.problem());
  const MpiCalls* calls = nullptr;
  library.load(calls, "kindred_mpi_calls");
  check(calls->version == mpi_calls_version, ExitCode::device,
        "{} has version {} of Kindred's calls of MPI; this program needs {}: install both from one build",
        file.string(), calls->version, mpi_calls_version);
  return *calls;
}

}  // namespace

const MpiCalls& mpi_calls() {
  static const MpiCalls& calls = open_module();  // tried again after an error
  return calls;
}

bool mpi_module_found() {
  return !module_file().empty();
}

std::string why_no_mpi() {
  try {
    mpi_calls();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string mpi_description() {
  return mpi_name(mpi_calls().library());
}

std::string mpi_name(const std::string& library) {
  // Open MPI: "Open MPI v4.1.4, package: ..."; MPICH: "MPICH Version:\t4.0.2\nMPICH Release date: ..."
  std::string first = library.substr(0, library.find_first_of(",\n"));
  std::replace(first.begin(), first.end(), '\t', ' ');
  if (const std::size_t at = first.find(" Version:"); at != first.npos)
    first.erase(at, std::string_view(" Version:").size());
  if (const std::size_t at = first.find(" v");
      at != first.npos && at + 2 < first.size() && first[at + 2] >= '0' && first[at + 2] <= '9')
    first.erase(at + 1, 1);
  first.erase(std::unique(first.begin(), first.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
              first.end());
  while (!first.empty() && first.back() == ' ') first.pop_back();
  return first.empty() ? "an unknown MPI" : first.substr(0, 60);
}

void check_mpi(int code, const char* call) {
  if (code == 0) return;
  char text[512] = "";
  mpi_calls().error_text(code, text, sizeof text);
  std::string line = text;
  std::replace(line.begin(), line.end(), '\n', ' ');
  fail(ExitCode::lost, "{} of MPI failed: {}", call, line.empty() ? fmt::format("code {}", code) : line);
}

}  // namespace kindred
