// The operating system's own words for what went wrong last.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace kindred {

// "No such file or directory". To be called before anything else can set errno.
inline std::string system_message() {
  return std::generic_category().message(errno);
}

}  // namespace kindred
