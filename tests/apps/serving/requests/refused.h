// The status of a request that must be refused.
#pragma once

#include <kindred/apps/serving/requests/refused.h>

#include <doctest/doctest.h>

#include <string>

namespace kindred::test {

// Returns the status with which `call` refuses, or 200. The words must be one line.
template <typename Call>
int refused_status(const Call& call) {
  try {
    call();
  } catch (const Refused& refused) {
    CHECK(std::string(refused.what()).find('\n') == std::string::npos);
    CHECK(!std::string(refused.what()).empty());
    return refused.status();
  }
  return 200;
}

}  // namespace kindred::test
