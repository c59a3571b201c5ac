#include "mpirun.h"

#include <unistd.h>  // defines: access

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace kindred::test {

bool has_mpirun() {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty() && ::access((folder + "/mpirun").c_str(), X_OK) == 0) return true;
  return false;
}

void allow_mpirun() {
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMP_NUM_THREADS"})
    ::setenv(name, "1", 1);
}

std::vector<std::string> mpirun_command(int processes, const std::string& program,
                                        const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"mpirun", "-n",   std::to_string(processes), "--oversubscribe", "--bind-to",
                                   "none",   program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::string this_program() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

std::string program_beside(const std::string& name) {
  return (std::filesystem::path(this_program()).parent_path() / name).string();
}

}  // namespace kindred::test
