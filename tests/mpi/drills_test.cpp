// A program of its own, which starts mpirun: what comes of processes that fail, hang or are killed.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "drills.h"
#include "mpirun.h"

#include <doctest/doctest.h>
#include <kindred/engine/error.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/third_party/mpi/mpi_library.h>

#include <sys/wait.h>  // defines: WIFEXITED

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace kindred::test {
namespace {

struct Drill {
  int code = -1;
  std::string output;
  std::vector<std::string> errors;  // the lines that begin with "error:"
  std::vector<pid_t> processes;
  double seconds = 0;
};

// Standard output and error together, through a shell.
Drill play(const std::string& name, int processes, const std::string& environment = "") {
  allow_mpirun();
  std::string command = environment + " timeout -k 5 60";
  for (const std::string& word : mpirun_command(processes, program_beside("mpi_tests"), {"--drill=" + name}))
    command += " '" + word + "'";
  Drill drill;
  const auto start = std::chrono::steady_clock::now();
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
    drill.output.append(buffer, count);
  const int status = ::pclose(pipe);
  drill.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  drill.seconds = seconds_since(start);
  std::istringstream lines(drill.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("error: ")) drill.errors.push_back(line);
    if (line.starts_with("process ")) drill.processes.push_back(std::stoi(line.substr(8)));
  }
  return drill;
}

// False also for one that has ended and whose parent has not asked for its code.
bool is_running(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  return name_end != text.npos && name_end + 2 < text.size() && text[name_end + 2] != 'Z' &&
         text[name_end + 2] != 'X';
}

// What must hold of each drill: all processes had started, none is left, and it took not much longer than its limits.
void check_ended(const Drill& drill, int processes, double most_seconds) {
  INFO(drill.output);
  CHECK(drill.processes.size() == static_cast<std::size_t>(processes));
  for (const pid_t process : drill.processes) {
    for (int i = 0; i < 100 && is_running(process); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK_FALSE(is_running(process));
  }
  CHECK(drill.seconds < most_seconds);
}

// One line with all of these words, and the code.
void check_line(const Drill& drill, ExitCode code, const std::vector<std::string>& words) {
  INFO(drill.output);
  CHECK(drill.code == static_cast<int>(code));
  REQUIRE(drill.errors.size() == 1);
  for (const std::string& word : words) CHECK_MESSAGE(drill.errors[0].find(word) != std::string::npos, word);
}

constexpr double soon = 8, after_limit = drill_limit + 2 + soon, after_nobody_came = 4 + soon;  // seconds

bool cannot_play() {
  const std::string reason = !has_mpirun() ? "mpirun is missing" : why_no_mpi();
  if (!reason.empty()) std::printf("skipped: drills: %s\n", reason.c_str());
  return !reason.empty();
}

TEST_CASE("mpi drills: a run in which nothing happens ends in order") {
  if (cannot_play()) return;
  const Drill drill = play("none", 3);
  check_ended(drill, 3, after_limit);
  CHECK_MESSAGE(drill.code == 0, drill.output);
  CHECK(drill.errors.empty());
}

TEST_CASE("mpi drills: a process that hangs is named, and all are ended") {
  if (cannot_play()) return;
  for (const int processes : {2, 4}) {
    const Drill drill = play("hang", processes);
    check_ended(drill, processes, after_limit);
    check_line(drill, ExitCode::lost,
               {"rank " + std::to_string(processes - 1) + " on ", "does not answer for ", "from rank 0 on "});
  }
}

TEST_CASE("mpi drills: if rank 0 hangs, the next one speaks") {
  if (cannot_play()) return;
  const Drill first = play("hang_first", 3);
  check_ended(first, 3, after_limit);
  check_line(first, ExitCode::lost, {"error: rank 0 on ", "does not answer for ", "from rank 1 on "});
  const Drill two = play("hang_two", 3);
  check_ended(two, 3, after_limit);
  check_line(two, ExitCode::lost, {"rank 0 on ", ", rank 2 on ", "do not answer for ", "from rank 1 on "});
}

TEST_CASE("mpi drills: an error in one process ends all, with its line and code from rank 0") {
  if (cannot_play()) return;
  const Drill drill = play("error", 3);
  check_ended(drill, 3, soon);
  check_line(drill, ExitCode::data, {"error: rank 2 on ", ": a picture cannot be read"});
  const Drill first = play("error_first", 3);
  check_ended(first, 3, soon);
  check_line(first, ExitCode::io, {"error: the disk is full"});
  const Drill everywhere = play("error_everywhere", 3);
  check_ended(everywhere, 3, soon);
  check_line(everywhere, ExitCode::usage, {"error: there is no set"});
}

TEST_CASE("mpi drills: an error is told although rank 0 does not listen") {
  if (cannot_play()) return;
  const Drill drill = play("error_while_busy", 3);
  check_ended(drill, 3, after_nobody_came);
  check_line(drill, ExitCode::data, {"error: rank 2 on ", ": a picture cannot be read"});
}

TEST_CASE("mpi drills: processes that wait for each other are ended") {
  if (cannot_play()) return;
  const Drill drill = play("different_calls", 3);
  check_ended(drill, 3, after_limit);
  check_line(drill, ExitCode::lost, {"all 3 processes answer, and yet wait for each other"});
}

TEST_CASE("mpi drills: who waits for its GPU asks like the others, and names the process that is missing") {
  if (cannot_play()) return;
  const Drill missing = play("hang_elsewhere", 3);
  check_ended(missing, 3, after_limit);
  check_line(missing, ExitCode::lost, {"error: rank 2 on ", "does not answer for ", "from rank 0 on "});
  const Drill nobody = play("wait_elsewhere", 3);
  check_ended(nobody, 3, after_limit);
  check_line(nobody, ExitCode::lost, {"all 3 processes answer, and yet wait for each other"});
}

TEST_CASE("mpi drills: rank 0 tells another's error although it waits for its GPU") {
  if (cannot_play()) return;
  const Drill drill = play("error_while_elsewhere", 3);
  check_ended(drill, 3, soon);
  check_line(drill, ExitCode::data, {"error: rank 2 on ", ": a picture cannot be read"});
}

TEST_CASE("mpi drills: a wait that is known to be in vain ends at once, with who is missing") {
  if (cannot_play()) return;
  const Drill missing = play("hang_in_vain", 3);
  check_ended(missing, 3, after_limit);
  check_line(missing, ExitCode::lost,
             {"error: rank 1 on ", ": rank 2 on ", "does not answer for ", "(NCCL: a connection is closed)"});
  const Drill nobody = play("in_vain", 3);
  check_ended(nobody, 3, after_limit);
  check_line(nobody, ExitCode::lost,
             {"error: rank 1 on ", "NCCL: a connection is closed; all 3 processes answer"});
}

// mpirun sees it before the others do, and ends them.
TEST_CASE("mpi drills: a process that is killed or ends without leave takes the others along") {
  if (cannot_play()) return;
  for (const char* name : {"kill", "exit"}) {
    const Drill drill = play(name, 3);
    check_ended(drill, 3, after_limit);
    CHECK_MESSAGE(drill.code != 0, drill.output);
    CHECK(drill.errors.size() <= 1);
  }
}

TEST_CASE("mpi drills: without the module a program says so in one line") {
  if (cannot_play()) return;
  const Drill drill = play("none", 1, "KINDRED_MPI_MODULE=/nowhere/libkindred_mpi.so");
  CHECK(drill.code == static_cast<int>(ExitCode::device));
  REQUIRE(drill.errors.size() == 1);
  CHECK(drill.errors[0].find("KINDRED_MPI_MODULE is /nowhere/libkindred_mpi.so, which is no file") !=
        std::string::npos);
}

TEST_CASE("mpi: names of its makes") {
  CHECK(mpi_name("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022") ==
        "Open MPI 4.1.4");
  CHECK(mpi_name("MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\n") ==
        "MPICH 4.0.2");
  CHECK(mpi_name("MPICH Version:      4.2.1\nMPICH Release date: Wed Apr 17\n") == "MPICH 4.2.1");
  CHECK(mpi_name("Intel(R) MPI Library 2021.10 for Linux* OS\n") ==
        "Intel(R) MPI Library 2021.10 for Linux* OS");
  CHECK(mpi_name("") == "an unknown MPI");
}

}  // namespace
}  // namespace kindred::test
