// The message, code and cause of a call that must fail.
#pragma once

#include <doctest/doctest.h>
#include <kindred/engine/error.h>

#include <string>

namespace kindred::test {

// Returns the message of the Error that `call` throws, or "no error".
template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Returns the code of the Error that `call` throws, or ExitCode::ok. The message must be one line.
template <typename Call>
ExitCode code_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.code();
  }
  return ExitCode::ok;
}

// Returns the cause of the Error that `call` throws, or Cause::other. Programs choose their advice by it.
template <typename Call>
Cause cause_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.cause();
  }
  return Cause::other;
}

}  // namespace kindred::test
