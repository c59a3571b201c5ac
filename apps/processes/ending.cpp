#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/third_party/mpi/mpi_transport.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <cstdio>

namespace kindred {

void write_last_line(ExitCode code, const std::string& message) {
  const std::string whole = code == ExitCode::lost ? message + "; " + advice_to_go_on() : message;
  if (tell_launcher_of_failure(code, whole)) return;
  std::fprintf(stderr, "%s\n", last_line(code, whole).c_str());
  std::fflush(stderr);
}

void end_through_launcher() {
  set_process_end({.failed = write_last_line, .finished = {}});
}

void end_with_the_others() {
  set_last_words(write_last_line);
  set_process_end(
      {.failed = [](ExitCode code, const std::string& message) { mpi_transport().end_together(code, message); },
       .finished =
           [](int code) {
             const bool speaks = world().is_first();
             close_mpi_world();  // waits for the others
             tell_launcher_of_end(code);
             return speaks ? code : 0;
           }});
}

}  // namespace kindred
