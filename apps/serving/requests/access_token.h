// The token that a server may ask for, as "Authorization: Bearer <token>".
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace kindred {

// The time depends on the length of `given` alone, not on where the two differ.
bool same_token(std::string_view given, std::string_view expected);

// Throws Error(usage) if the text cannot be a token: at least 16 visible ASCII characters. `source` is where it is from:
// "--token" or "KINDRED_TOKEN".
void check_token_text(const std::string& source, const std::string& token);

// Checks the tokens of requests. The right one always passes: behind a proxy all clients have one address, and none of them may
// lock the others out. That tokens cannot be tried out is due to their length. From the eleventh wrong one within a minute from
// one address on, the answer is 429, so that whoever sends it goes slower, and the operator sees it in the metrics. Thread-safe.
class TokenCheck {
 public:
  using Clock = std::chrono::steady_clock;

  explicit TokenCheck(std::string token) : token_(std::move(token)) {}  // "": none is asked for
  bool asks() const { return !token_.empty(); }

  // Throws Refused: 401 without a token or with a wrong one, 429 for a wrong one after too many. `authorization` is the header;
  // "" without one.
  void check(const std::string& authorization, const std::string& address,
             Clock::time_point now = Clock::now());

 private:
  struct Failures {
    Clock::time_point since;
    int count = 0;
  };
  // Also returns how long the address should wait; zero or less: not at all.
  Clock::duration note_failure(const std::string& address, Clock::time_point now);

  const std::string token_;
  std::mutex mutex_;
  std::map<std::string, Failures> failures_;  // by address
};

}  // namespace kindred
