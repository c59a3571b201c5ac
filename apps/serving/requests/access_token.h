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

// Checks the tokens of requests. After ten wrong ones within a minute from one address, no more of it are looked at for the rest
// of that minute, so that tokens cannot be tried out. Thread-safe.
class TokenCheck {
 public:
  using Clock = std::chrono::steady_clock;

  explicit TokenCheck(std::string token) : token_(std::move(token)) {}  // "": none is asked for
  bool asks() const { return !token_.empty(); }

  // Throws Refused: 401 without a token or with a wrong one, 429 after too many. `authorization` is the header; "" without one.
  void check(const std::string& authorization, const std::string& address,
             Clock::time_point now = Clock::now());

 private:
  struct Failures {
    Clock::time_point since;
    int count = 0;
  };
  void note_failure(const std::string& address, Clock::time_point now);

  const std::string token_;
  std::mutex mutex_;
  std::map<std::string, Failures> failures_;  // by address
};

}  // namespace kindred
