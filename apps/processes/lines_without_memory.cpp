#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/lines_without_memory.h>

#include <signal.h>  // defines: sigaction

#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>

namespace kindred {
namespace {

// What run_main() has set: each writes the line and ends the process, or finds that something else is wrong.
struct EndsWithoutMemory {
  struct sigaction at_fault {};
  std::terminate_handler uncaught = nullptr;
};

EndsWithoutMemory& ends_without_memory() {
  static EndsWithoutMemory ends;
  return ends;
}

void tell_at_fault(int signal, siginfo_t* information, void* context) {
  tell_launcher_of_own_line(ExitCode::device);
  ends_without_memory().at_fault.sa_sigaction(signal, information, context);
  tell_launcher_of_own_line(ExitCode::ok);  // there is memory: the fault comes again, and ends the process
}

[[noreturn]] void tell_uncaught() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    tell_launcher_of_own_line(ExitCode::device);
  } catch (...) {  // the other handler says what it is
  }
  ends_without_memory().uncaught();
  std::abort();
}

}  // namespace

void tell_launcher_of_lines_without_memory() {
  EndsWithoutMemory& ends = ends_without_memory();
  ends.uncaught = std::set_terminate(tell_uncaught);
  struct sigaction& present = ends.at_fault;
  const bool is_handled = ::sigaction(SIGSEGV, nullptr, &present) == 0 &&
                          (present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction != nullptr;
  if (!is_handled || !limit_of_addresses()) return;  // a sanitizer's handler says nothing about memory
  struct sigaction action = present;
  action.sa_sigaction = tell_at_fault;
  for (const int signal : {SIGSEGV, SIGBUS}) ::sigaction(signal, &action, nullptr);
}

}  // namespace kindred
