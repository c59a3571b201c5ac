// What connects a process with the launcher (launcher.h) that had it started: a socket, whose path stands in the
// environment. Over it the process gets the launcher's own standard output and error, so that rank 0 prints where the user
// looks, on a terminal too, and mpirun, which would hand on everything by way of pipes, is not in between. It also says how
// the process ended. The launcher knows by the socket's closing that a process is gone, and by a missing hello or open that
// it hangs before MPI, which watches from then on.
//
// Messages are packets of text: "hello RANK PID", "open 0", "failing 0", "failed CODE MESSAGE", "wrote CODE", "done CODE",
// "ended CODE".
#pragma once

#include <kindred/engine/error.h>

#include <optional>
#include <string>
#include <string_view>

namespace kindred {

// In the environment of the processes: the path of the socket.
inline constexpr const char* launcher_socket = "KINDRED_LAUNCHED";

// True in a process that a launcher had started.
bool is_launched();

// The rank in the environment of one that is. Throws Error(usage) if it was not mpirun that started it.
int rank_of_launched();

// Connects, if this process has not done so. Rank 0 then writes to the launcher's standard output and error; the standard
// output of the others leads nowhere, and their standard error to mpirun. From now on the process is killed when mpirun is
// gone, and signals of the launcher and of mpirun are taken as handed on (interrupt.h), so the process must watch for them
// already. Throws Error(lost) if the launcher does not answer.
void join_launcher(int rank);

// They do nothing and return false if there is no launcher.
bool tell_launcher_that_mpi_is_open();
bool tell_launcher_of_coming_failure();  // it says which one in some seconds, unless another process does
bool tell_launcher_of_failure(ExitCode code, const std::string& message);
// This process writes the run's line itself and then ends with this code; 0: it does not after all. A handler of signals may
// call it: it takes no memory.
bool tell_launcher_of_own_line(ExitCode code);
// The program's work is done and what this process writes is written; it now waits for the others.
bool tell_launcher_of_work_done(int code);
bool tell_launcher_of_end(int code);  // MPI is closed

// Standard output leads nowhere from now on.
void silence_output();

// A message, read by the launcher.
struct LaunchedMessage {
  enum class Kind { hello, open, failing, failed, wrote, done, ended } kind;
  int number = 0;      // hello: the rank; failed, wrote, done, ended: the exit code
  int process = 0;     // hello: the process's number
  std::string text{};  // failed: what it said
};
std::optional<LaunchedMessage> read_launched_message(std::string_view packet);  // nullopt if it is none

// The longest message; longer ones are cut.
inline constexpr std::size_t longest_packet = 16384;

}  // namespace kindred
