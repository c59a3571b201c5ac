#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_library.h>
#include <kindred/third_party/search/program_module.h>

#include <algorithm>
#include <string_view>

// KINDRED_WITHOUT_MPI: why this build has no module, "" if it has one; from third_party/CMakeLists.txt.

namespace kindred {
namespace {

constexpr ProgramModule mpi_module{"libkindred_mpi.so", "KINDRED_MPI_MODULE", KINDRED_WITHOUT_MPI};

constexpr ModuleUse mpi_use{
    "several processes need MPI", "MPI",
    "install the MPI that it was built with (of Open MPI the package openmpi-bin), or build Kindred with "
    "the one that is here",
    ExitCode::device};

}  // namespace

const MpiCalls& mpi_calls() {
  static const MpiCalls& calls = calls_of_module<MpiCalls>(mpi_module, mpi_use, "kindred_mpi_calls",
                                                           mpi_calls_version);  // tried again after an error
  return calls;
}

bool mpi_module_found() {
  return !module_file(mpi_module).empty();
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
