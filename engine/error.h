// How Kindred reports that something is wrong: one exception type, one line of text, one exit code.
//
// A message says what was given, what was expected and what to do. `main` prints it and returns the exit code
// (apps/console/main.h). Checks stay on in release builds.
#pragma once

#include <fmt/format.h>  // defines: fmt::format, fmt::format_string

#include <stdexcept>
#include <string>
#include <utility>

namespace kindred {

// The documented exit codes of every program (README.md lists them too).
enum class ExitCode : int {
  ok = 0,
  internal = 1,     // a bug in Kindred; please report it
  usage = 2,        // a flag or an argument cannot be used
  data = 3,         // the data set, or an image in it, cannot be used
  file = 4,         // a weights, checkpoint or configuration file cannot be read or does not fit
  device = 5,       // the device is missing or out of memory
  io = 6,           // writing failed: full disk, read-only folder
  non_finite = 7,   // the loss or a gradient is not finite: training stopped before using it
  interrupted = 8,  // a signal asked the program to end; it saved a checkpoint, and --resume continues
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// A device has no memory left. This is an Error(device) that a program may catch, to say what would fit.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error(ExitCode::device, message) {}
};

template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void check(bool condition, ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(code, format, std::forward<Args>(args)...);
}

}  // namespace kindred
