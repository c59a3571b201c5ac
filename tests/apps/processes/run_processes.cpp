#include "run_processes.h"

#include <kindred/apps/processes/launcher/mpirun.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/third_party/mpi/mpi_library.h>

#include <doctest/doctest.h>

#include <unistd.h>  // defines: getpid

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Of a file of /proc, whose size is not known before it is read.
std::string text_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_zombie(const fs::path& folder) {
  const std::string status = text_of_file(folder / "stat");
  const std::size_t name_ends = status.rfind(')');
  return name_ends == std::string::npos || status.substr(name_ends, 3) == ") Z";
}

void write_script(const fs::path& path, const std::string& lines) {
  write_bytes(path, "#!/bin/sh\n" + lines);
  fs::permissions(path, fs::perms::owner_all);
}

std::optional<int> rank_in(const std::string& environment) {
  const std::string name = std::string(1, '\0') + "OMPI_COMM_WORLD_RANK=";
  const std::size_t at = environment.find(name);
  if (at == std::string::npos) return std::nullopt;
  return std::atoi(environment.c_str() + at + name.size());
}

}  // namespace

std::vector<RunProcess> processes_of_run(const std::string& program, const std::string& argument) {
  std::vector<RunProcess> found;
  const std::string wanted = std::string(1, '\0') + argument + std::string(1, '\0');
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code error;
    const fs::path executable = fs::read_symlink(entry.path() / "exe", error);
    if (error || executable.filename() != program || is_zombie(entry.path())) continue;
    if (text_of_file(entry.path() / "cmdline").find(wanted) == std::string::npos) continue;
    found.push_back({std::stoi(number), rank_in(text_of_file(entry.path() / "environ"))});
  }
  return found;
}

ProgramResult run_program_and(const std::string& program, const std::string& arguments,
                              const std::string& argument, const std::function<bool()>& is_time,
                              const std::function<void(const std::vector<RunProcess>&)>& act,
                              const std::string& prefix) {
  std::atomic<bool> over = false;
  std::thread actor([&] {
    while (!over && !is_time()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (!over) act(processes_of_run(program, argument));
  });
  const ProgramResult result = run_program_with(prefix, program, arguments);
  over = true;
  actor.join();
  return result;
}

std::string prefix_for_mpirun(const TemporaryFolder& folder, const std::string& script) {
  const fs::path bin = folder / "bin";
  fs::create_directories(bin);
  write_script(bin / "mpirun", script);
  return "PATH=" + bin.string() + ":$PATH";
}

ShellBeforeProcesses::ShellBeforeProcesses(const TemporaryFolder& folder, const std::string& line)
    : shell_(folder / "shell") {
  write_script(shell_, line + "\nexec \"$@\"\n");
  // Behind five words about processes and cores comes the program (apps/processes/launcher/mpirun.h).
  const std::string mpirun = find_mpirun(std::getenv("PATH")).value_or("mpirun").string();
  prefix_ = prefix_for_mpirun(folder, "number=$2\nshift 5\nexec " + mpirun +
                                          " -n $number --bind-to none --oversubscribe " + shell_ + " \"$@\"\n");
}

std::string ShellBeforeProcesses::for_launcher() const {
  return prefix_;
}

std::string ShellBeforeProcesses::by_hand() const {
  return "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -n 2 --oversubscribe " + shell_ +
         " env ";
}

std::string long_sleep() {
  return std::to_string(1000000 + ::getpid());
}

std::string if_rank(int rank, const std::string& line) {
  return "if [ \"$OMPI_COMM_WORLD_RANK\" = " + std::to_string(rank) + " ]; then " + line + "; fi";
}

std::vector<RunProcess> mpirun_of_run(const std::string& argument) {
  std::vector<RunProcess> found;
  for (const char* const name : {"orterun", "mpirun", "prterun"})
    for (const RunProcess& mpirun : processes_of_run(name, argument)) found.push_back(mpirun);
  return found;
}

bool nothing_is_left(const std::string& program, const std::string& argument) {
  for (int i = 0; i < 400; ++i) {
    if (processes_of_run(program, argument).empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

bool has_mpi() {
  if (find_mpirun(std::getenv("PATH")) && mpi_module_found()) return true;
  MESSAGE("skipped: without mpirun, or built without MPI");
  std::puts("skipped: without mpirun, or built without MPI");
  return false;
}

}  // namespace kindred
