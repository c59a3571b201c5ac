// What a call that must fail says, with which code and which cause.
#pragma once

#include <doctest/doctest.h>
#include <kindred/engine/error.h>

#include <string>

namespace kindred::test {

// The message of the Error that `call` throws; "no error" if it throws none.
template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The code of the Error that `call` throws, whose message must be one line; ExitCode::ok if it throws none.
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

// The cause of the Error that `call` throws, from which programs take their advice; Cause::other if it throws none.
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
