// Whether it is the data or this process that is the reason why a folder cannot be listed, or a file not opened.
#pragma once

#include <kindred/engine/error.h>

#include <string>
#include <system_error>

namespace kindred {

inline bool is_lack_of_files(const std::error_code& error) {
  return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system;
}

// Whether it is this process that lacks something, memory or files that it may open: then nothing is known about the folder,
// and to skip it would be to lose what is in it.
inline bool is_own_lack(const std::error_code& error) {
  return error == std::errc::not_enough_memory || is_lack_of_files(error);
}

// Throws Error(device), with the message and what helps, if is_own_lack().
inline void check_own_lack(const std::string& message, const std::error_code& error) {
  check(!is_lack_of_files(error), ExitCode::device, "{}; raise the limit of open files (ulimit -n)", message);
  if (is_own_lack(error)) fail(ExitCode::device, Cause::out_of_memory, "{}", message);
}

// Does nothing without an error. Otherwise throws Error(data), "<folder>: cannot be listed: <the system's words>", or as above.
inline void check_listed(const std::string& folder, const std::error_code& error) {
  if (!error) return;
  const std::string message = fmt::format("{}: cannot be listed: {}", folder, error.message());
  check_own_lack(message, error);
  fail(ExitCode::data, "{}", message);
}

}  // namespace kindred
