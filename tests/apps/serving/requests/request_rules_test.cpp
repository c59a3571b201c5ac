// What a request's head must say: by whom a server may be asked, from which page, and with what body.
#include "refused.h"

#include <kindred/apps/serving/requests/request_rules.h>

#include <doctest/doctest.h>

#include <string>

namespace kindred {
namespace {

using third_party::HttpRequest;

const RequestRules local{{}, false, 1000};

HttpRequest post_of(std::size_t bytes) {
  HttpRequest head{"POST", "/predict", {}, {}, {}};
  head.headers = {{"host", "127.0.0.1:8020"}, {"content-length", std::to_string(bytes)}};
  return head;
}

int status_of_head(const HttpRequest& head, const RequestRules& rules = local) {
  return test::refused_status([&] { check_head(head, rules); });
}

TEST_CASE("serving: only the names of the server are hosts") {
  for (const char* const host :
       {"localhost", "localhost:8020", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8020", "[::1]", "[::1]:8020"})
    CHECK_MESSAGE(is_allowed_host(host, local), host);
  for (const char* const host :
       {"", ":8020", "evil.example", "evil.example:8020", "localhost.evil.example", "127.0.0.1.evil.example",
        "localhost:8020:1", "localhost:80a", "localhost@evil.example", "[::1", "[::1]x", "::1",
        "192.168.1.5:8020", "127.0.0.2"})
    CHECK_MESSAGE(!is_allowed_host(host, local), host);

  const RequestRules open{{"box.lan", "[2001:db8::1]"}, true, 1000};
  for (const char* const host :
       {"box.lan", "BOX.lan:8020", "192.168.1.5:8020", "[2001:db8::1]:8020", "[fe80::1]", "localhost"})
    CHECK_MESSAGE(is_allowed_host(host, open), host);
  for (const char* const host : {"evil.example", "999.1.1.1", "1.2.3", "[box.lan]", "0x7f000001"})
    CHECK_MESSAGE(!is_allowed_host(host, open), host);
}

TEST_CASE("serving: an origin is the server's own only with its host and port") {
  CHECK(is_origin_of("http://localhost:8020", "localhost:8020"));
  CHECK(is_origin_of("HTTP://LocalHost:8020", "localhost:8020"));
  CHECK(is_origin_of("https://box.lan", "box.lan"));  // behind a proxy with TLS
  for (const char* const origin :
       {"null", "", "http://localhost", "http://localhost:8021", "http://127.0.0.1:8020",
        "http://localhost:8020/", "http://evil.example", "ftp://localhost:8020"})
    CHECK_MESSAGE(!is_origin_of(origin, "localhost:8020"), origin);
}

TEST_CASE("serving: each wrong head has its status") {
  CHECK(status_of_head(post_of(1000)) == 200);
  HttpRequest head = post_of(1);

  SUBCASE("host") {
    head.headers.erase("host");
    CHECK(status_of_head(head) == 400);
    head.headers.emplace("host", "evil.example");
    CHECK(status_of_head(head) == 403);
    head.headers.emplace("host", "localhost");
    CHECK(status_of_head(head) == 400);  // two
  }
  SUBCASE("origin") {
    head.headers.emplace("origin", "http://127.0.0.1:8020");
    CHECK(status_of_head(head) == 200);
    head.headers.find("origin")->second = "http://evil.example";
    CHECK(status_of_head(head) == 403);
    head.headers.erase("origin");
    head.headers.emplace("sec-fetch-site", "cross-site");
    CHECK(status_of_head(head) == 403);
    head.headers.find("sec-fetch-site")->second = "same-origin";
    CHECK(status_of_head(head) == 200);
  }
  SUBCASE("path and method") {
    head.path = "/predict/";
    CHECK(status_of_head(head) == 404);
    head.path = "/predict";
    for (const char* const method : {"GET", "PUT", "DELETE", "OPTIONS", "HEAD"}) {
      head.method = method;
      CHECK(status_of_head(head) == 405);
    }
    for (const char* const path : {"/", "/health", "/metrics"}) {
      head.path = path;
      head.method = "GET";
      CHECK(status_of_head(head) == 200);
      head.method = "HEAD";
      CHECK(status_of_head(head) == 200);
      head.method = "POST";
      CHECK(status_of_head(head) == 405);
    }
  }
  SUBCASE("length") {
    CHECK(status_of_head(post_of(1001)) == 413);
    for (const char* const length : {"-1", "+1", "1 ", "1,1", "0x1", "one", "", "1e3"}) {
      head.headers.find("content-length")->second = length;
      CHECK_MESSAGE(status_of_head(head) == 400, length);
    }
    head.headers.find("content-length")->second = std::string(40, '9');
    CHECK(status_of_head(head) == 413);
    head.headers.find("content-length")->second = "1";
    head.headers.emplace("content-length", "1");
    CHECK(status_of_head(head) == 400);
    head.headers.erase("content-length");
    CHECK(status_of_head(head) == 411);
    head = post_of(1);
    head.headers.emplace("transfer-encoding", "chunked");
    CHECK(status_of_head(head) == 411);
  }
  SUBCASE("kind") {
    for (const char* const type :
         {"image/png", "IMAGE/JPEG", "application/octet-stream", "multipart/form-data; boundary=x",
          "application/x-www-form-urlencoded", ""}) {
      head.headers.erase("content-type");
      head.headers.emplace("content-type", type);
      CHECK_MESSAGE(status_of_head(head) == 200, type);
    }
    for (const char* const type :
         {"text/plain", "application/json", "video/mp4", "multipart/mixed", "imagex/png"}) {
      head.headers.find("content-type")->second = type;
      CHECK_MESSAGE(status_of_head(head) == 415, type);
    }
    head.headers.erase("content-type");
    head.headers.emplace("content-encoding", "identity");
    CHECK(status_of_head(head) == 200);
    head.headers.find("content-encoding")->second = "gzip";
    CHECK(status_of_head(head) == 415);
  }
}

}  // namespace
}  // namespace kindred
