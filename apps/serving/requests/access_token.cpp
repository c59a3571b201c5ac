#include <kindred/apps/serving/requests/access_token.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/requests/request_text.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstddef>

namespace kindred {
namespace {

constexpr std::size_t shortest_token = 16;
constexpr int most_failures = 10;
constexpr std::chrono::seconds failures_count_for{60};
constexpr std::size_t most_addresses = 1024;  // that are remembered

}  // namespace

bool same_token(std::string_view given, std::string_view expected) {
  // volatile: the compiler may not leave the loop early.
  volatile unsigned difference = given.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size() && !expected.empty(); ++i)
    difference = difference | static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^
                                                    static_cast<unsigned char>(expected[i % expected.size()]));
  return difference == 0 && !expected.empty();
}

void check_token_text(const std::string& source, const std::string& token) {
  const bool visible = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  kindred::check(
      visible && token.size() >= shortest_token, ExitCode::usage,
      "{}: expected at least {} visible ASCII characters without spaces, for example those that `openssl "
      "rand -hex 16` prints",
      source, shortest_token);
}

TokenCheck::Clock::duration TokenCheck::note_failure(const std::string& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= most_addresses && !failures_.contains(address)) {
    std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.since >= failures_count_for; });
    if (failures_.size() >= most_addresses) failures_.clear();
  }
  Failures& failures = failures_[address];
  if (failures.count == 0 || now - failures.since >= failures_count_for) failures = {now, 0};
  if (failures.count >= most_failures) return failures_count_for - (now - failures.since);
  ++failures.count;
  return Clock::duration::zero();
}

void TokenCheck::check(const std::string& authorization, const std::string& address, Clock::time_point now) {
  if (!asks()) return;
  const std::string_view scheme = "bearer ";
  const bool given = same_in_lower_case(std::string_view(authorization).substr(0, scheme.size()), scheme);
  if (!given) throw Refused(401, "this server asks for its token: send \"Authorization: Bearer TOKEN\"");
  if (same_token(trimmed(std::string_view(authorization).substr(scheme.size())), token_)) return;
  const auto left = note_failure(address, now);
  if (left > Clock::duration::zero())
    throw Refused(429, "the token is wrong, as were ten within a minute from this address: wait a minute",
                  static_cast<int>(std::chrono::ceil<std::chrono::seconds>(left).count()));
  throw Refused(401, "the token is not the one that the server was started with");
}

}  // namespace kindred
