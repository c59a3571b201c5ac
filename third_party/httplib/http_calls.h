// The call that libkindred_http.so gives the programs. The module alone is linked with cpp-httplib, which brings OpenSSL with it.
// Both are from one build, so classes pass between them as they are.
#pragma once

#include <kindred/third_party/httplib/http_exchange.h>

namespace kindred::third_party {

inline constexpr int http_calls_version = 2;

struct HttpCalls {
  int version;
  int (*exchange)(ByteStream& stream, const HttpSite& site);
};

}  // namespace kindred::third_party
