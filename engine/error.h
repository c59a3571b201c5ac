// How Kindred reports that something is wrong: one exception type, one line of text, one exit code.
//
// A message says what was given and what was expected. The library does not know the flags of programs, so if a
// flag can help, the error carries a Cause instead. `main` prints the message and the advice for the cause
// (apps/console/advice.h), and returns the exit code. Checks stay on in release builds.
#pragma once

#include <fmt/core.h>  // defines: fmt::format, fmt::format_string

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace kindred {

// The documented exit codes of every program (README.md lists them too).
enum class ExitCode : int {
  ok = 0,
  internal = 1,  // a bug in Kindred; please report it
  usage = 2,     // a flag or an argument cannot be used
  data = 3,      // the data set, or an image in it, cannot be used
  file = 4,      // a weights, checkpoint or configuration file cannot be read or does not fit
  device = 5,    // the device is missing, or memory or threads are
  io = 6,        // writing failed: full disk, read-only folder
  non_finite =
      7,  // the loss or a gradient is not finite: training stopped before using it; or features are not
  interrupted = 8,  // a signal asked the program to end; it said what the same command does next
  lost = 9,         // a process of the run died, hung or cannot be reached
};

// Why something failed, where the user can change a setting to avoid it.
enum class Cause : std::uint8_t {
  other,                  // the message says everything
  out_of_memory,          // of the host or of the GPU
  out_of_memory_loading,  // the same, while pictures were loaded
  out_of_threads,         // the system starts no more for this process
  out_of_processes,       // the system does not start all that were asked for
  needs_cpu,              // the chosen device cannot do this, and the CPU can
  needs_reference,        // only the plain kernels can do this
  needs_gpu,              // only a GPU can do this
  missing_library,        // of NVIDIA
  small_batch,            // too few values for a mean and a variance
  small_image,
  bad_image,     // where none is accepted
  bad_images,    // more than are accepted
  exists,        // and would have to be replaced
  needs_labels,  // nothing says the classes of images, and a list could
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message, Cause cause = Cause::other)
      : std::runtime_error(message), code_(code), cause_(cause) {}
  ExitCode code() const { return code_; }
  Cause cause() const { return cause_; }

 private:
  ExitCode code_;
  Cause cause_;
};

// A device has no memory left. This is an Error(device) that a program may catch, to say what would fit.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message, Cause cause = Cause::out_of_memory)
      : Error(ExitCode::device, message, cause) {}
};

template <typename... Args>
[[noreturn]] void fail(ExitCode code, Cause cause, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...), cause);
}

template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  fail(code, Cause::other, format, std::forward<Args>(args)...);
}

template <typename... Args>
void check(bool condition, ExitCode code, Cause cause, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(code, cause, format, std::forward<Args>(args)...);
}

template <typename... Args>
void check(bool condition, ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(code, format, std::forward<Args>(args)...);
}

}  // namespace kindred
