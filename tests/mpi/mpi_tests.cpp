// The test program that runs as several processes: each runs the same cases, and rank 0 prints.
//
//   mpi_tests --processes=3 [DOCTEST_ARGUMENT...]     starts mpirun
//   mpi_tests --drill=NAME                            see drills.h
#define DOCTEST_CONFIG_IMPLEMENT
#include "drills.h"
#include "mpirun.h"

#include <doctest/doctest.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <link.h>    // defines: dl_iterate_phdr
#include <unistd.h>  // defines: execvp

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace kindred::test {
namespace {

// The value of an argument --name=VALUE; "" without one.
std::string value_of(int argc, char** argv, std::string_view name) {
  const std::string start = "--" + std::string(name) + "=";
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]).starts_with(start)) return std::string(argv[i]).substr(start.size());
  return "";
}

int start_mpirun(const std::string& processes, int argc, char** argv) {
  if (!has_mpirun()) {
    std::printf("skipped: mpi_tests: mpirun is missing\n");
    return EXIT_SUCCESS;
  }
  allow_mpirun();
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i)
    if (!std::string_view(argv[i]).starts_with("--processes=")) arguments.emplace_back(argv[i]);
  std::vector<std::string> command = mpirun_command(std::stoi(processes), this_program(), arguments);
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  std::perror("mpirun");
  return EXIT_FAILURE;
}

// A program that is linked with MPI would not start where there is none.
bool has_loaded_mpi() {
  bool found = false;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* result) {
        if (std::string_view(library->dlpi_name).find("libmpi") != std::string_view::npos)
          *static_cast<bool*>(result) = true;
        return 0;
      },
      &found);
  return found;
}

int run_cases(int argc, char** argv) {
  const bool was_linked = has_loaded_mpi();
  set_world(open_mpi_world());
  set_time_limit(30);
  std::ostringstream text;
  doctest::Context context(argc, argv);
  context.setOption("no-colors", true);  // mpirun gives each process a terminal, whose output others read
  if (!world().is_first()) context.setCout(&text);
  int failed = context.run();
  if (was_linked || !has_loaded_mpi()) {
    std::fprintf(stderr, "FAILED: libmpi must be loaded by open_mpi_world(), and not before\n");
    failed = 1;
  }
  if (failed && !world().is_first()) std::fprintf(stderr, "rank %d:\n%s", world().rank(), text.str().c_str());
  const bool anybody_failed = world().sum({failed ? 1.0 : 0.0})[0] > 0;
  close_mpi_world();
  return anybody_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace
}  // namespace kindred::test

int main(int argc, char** argv) {
  using namespace kindred::test;
  try {
    if (const std::string processes = value_of(argc, argv, "processes"); !processes.empty())
      return start_mpirun(processes, argc, argv);
    if (const std::string drill = value_of(argc, argv, "drill"); !drill.empty()) return run_drill(drill);
    return run_cases(argc, argv);
  } catch (const kindred::Error& error) {
    if (kindred::mpi_is_open()) kindred::mpi_transport().end_together(error.code(), error.what());
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
