#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/lines_without_memory.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/third_party/mpi/mpi_transport.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

namespace kindred {
namespace {

using namespace std::chrono_literals;

// mpirun takes a second to end the others after one has ended, and processes do not all start at the same moment.
constexpr double seconds_for_rank_0 = 4, seconds_of_a_turn = 0.25;
constexpr int most_turns = 16;
static_assert(seconds_for_rank_0 + most_turns * seconds_of_a_turn < seconds_of_all_turns);

std::function<std::string()>& program_advice() {
  static auto& said_by_program = *new std::function<std::string()>;  // a thread may still ask at the end
  return said_by_program;
}

std::string named_line(int rank, const std::string& message) {
  return rank == 0 ? message : fmt::format("rank {} on {}: {}", rank, host_name(), message);
}

void write_line_of_run(ExitCode code, const std::string& line) {
  if (tell_launcher_of_failure(code, line)) return;
  std::fprintf(stderr, "%s\n", last_line(code, line).c_str());
  std::fflush(stderr);
}

}  // namespace

void set_advice_after_loss(std::function<std::string()> advice) {
  program_advice() = std::move(advice);
}

std::string advice_after_loss() {
  try {
    if (program_advice()) return program_advice()();
  } catch (const std::exception&) {  // what is known of the loss is said all the same
  }
  return advice_to_go_on();
}

void write_last_line(ExitCode code, const std::string& message) {
  write_line_of_run(code, code == ExitCode::lost ? message + "; " + advice_after_loss() : message);
}

void end_before_mpi_is_open(int rank) {
  set_process_end({.failed =
                       [rank](ExitCode code, const std::string& message) {
                         if (rank == 0)
                           write_line_of_run(code, message);
                         else
                           end_above_rank_0(rank, code, message);
                       },
                   .finished = {}});
  if (rank == 0) tell_launcher_of_lines_without_memory();
}

void end_above_rank_0(int rank, ExitCode code, const std::string& message) {
  tell_launcher_of_coming_failure();  // its limit may be shorter than the wait
  std::signal(SIGTERM, SIG_DFL);      // it may be watched already, and with it mpirun ends this process
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds_until_turn(rank)));
  if (!message.empty()) write_line_of_run(code, named_line(rank, message));
  std::_Exit(static_cast<int>(code));
}

double seconds_until_turn(int rank) {
  return rank == 0 ? 0 : seconds_for_rank_0 + std::min(rank - 1, most_turns) * seconds_of_a_turn;
}

void end_while_mpi_opens(int rank, ExitCode code, const std::string& message) {
  if (!message.empty()) write_line_of_run(code, named_line(rank, message));
  std::this_thread::sleep_for(50ms);  // mpirun hands the line on, and might drop it with the process
  std::_Exit(static_cast<int>(code));
}

void end_with_the_others() {
  set_last_words(write_last_line);
  set_process_end(
      {.failed = [](ExitCode code, const std::string& message) { mpi_transport().end_together(code, message); },
       .finished =
           [](int code) {
             const bool speaks = world().is_first();
             tell_launcher_of_work_done(code);  // a process may hang where nobody watches, while MPI closes
             close_mpi_world();                 // waits for the others
             tell_launcher_of_end(code);
             return speaks ? code : 0;
           }});
}

}  // namespace kindred
