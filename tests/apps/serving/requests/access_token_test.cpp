// Tokens: which are right, and how often one may be wrong.
#include "../../../errors.h"
#include "refused.h"

#include <kindred/apps/serving/requests/access_token.h>

#include <doctest/doctest.h>

#include <string>

namespace kindred {
namespace {

using namespace std::chrono_literals;

const std::string secret = "0123456789abcdef";

TEST_CASE("serving: a token is the same in every character, or another") {
  CHECK(same_token(secret, secret));
  for (std::size_t i = 0; i < secret.size(); ++i) {
    std::string other = secret;
    other[i] ^= 1;
    CHECK(!same_token(other, secret));
  }
  CHECK(!same_token("", secret));
  CHECK(!same_token(secret.substr(0, 15), secret));
  CHECK(!same_token(secret + secret, secret));
  CHECK(!same_token("", ""));
}

TEST_CASE("serving: what can be a token") {
  CHECK(test::error_of([] { check_token_text("--token", secret); }) == "no error");
  for (const std::string bad : {"short", "0123456789 abcdef", "0123456789abcde\n", "0123456789abcde\xc3\xa9"}) {
    CHECK(test::code_of([&] { check_token_text("KINDRED_TOKEN", bad); }) == ExitCode::usage);
    CHECK(
        test::error_of([&] { check_token_text("KINDRED_TOKEN", bad); }).starts_with("KINDRED_TOKEN: expected"));
    CHECK(test::error_of([&] { check_token_text("KINDRED_TOKEN", bad); }).find(bad) == std::string::npos);
  }
}

TEST_CASE(
    "serving: without the right token 401, after ten wrong ones 429 for a minute, and the right one passes "
    "always") {
  TokenCheck check(secret);
  const TokenCheck::Clock::time_point start{};
  const auto status = [&](const std::string& header, const std::string& address,
                          TokenCheck::Clock::duration after) {
    return test::refused_status([&] { check.check(header, address, start + after); });
  };
  CHECK(check.asks());
  CHECK(status("Bearer " + secret, "a", 0s) == 200);
  CHECK(status("bearer  " + secret, "a", 0s) == 200);
  for (int i = 0; i < 20; ++i) CHECK(status("", "a", 0s) == 401);  // none was tried
  CHECK(status("Basic " + secret, "a", 0s) == 401);
  CHECK(status(secret, "a", 0s) == 401);

  for (int i = 0; i < 10; ++i) {
    CHECK(status("Bearer " + secret, "a", 1s) == 200);
    CHECK(status("Bearer wrong", "a", 1s) == 401);
  }
  CHECK(status("Bearer wrong", "a", 2s) == 429);
  // Behind a proxy all clients have one address: what one of them sends locks no other out.
  for (int i = 0; i < 100; ++i) {
    CHECK(status("Bearer wrong", "a", 60s) == 429);
    CHECK(status("Bearer " + secret, "a", 60s) == 200);
  }
  CHECK(status("", "a", 60s) == 401);
  CHECK(status("Bearer wrong", "b", 60s) == 401);
  CHECK(status("Bearer wrong", "a", 61s) == 401);
  try {
    for (int i = 0; i < 20; ++i) try {
        check.check("Bearer wrong", "c", start);
      } catch (const Refused& refused) {
        if (refused.status() == 429) throw;
      }
    FAIL("never refused");
  } catch (const Refused& refused) {
    CHECK(refused.retry_after() == 60);
  }

  // Addresses that come and go take no more memory than some.
  for (int i = 0; i < 5000; ++i) CHECK(status("Bearer wrong", std::to_string(i), 0s) == 401);

  TokenCheck none("");
  CHECK(test::refused_status([&] { none.check("", "a"); }) == 200);
}

}  // namespace
}  // namespace kindred
