// One HTTP request and its response on a connection, by cpp-httplib. The library is in a module that is opened when it is
// first needed (http_calls.h).
//
// The library reads the request line, the head, the parameters and a body of known length, and writes the response. Sockets,
// deadlines and limits of size are the caller's, because the library waits anew for each byte, and its lines may have any length.
// Bodies are given as they came: the library would decompress them, and search forms with regular expressions, whose time grows
// faster than the body.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred::third_party {

bool has_http();  // whether the module is there
// Opens it. exchange_http() would; but a server should say that it cannot before the first client comes. Throws Error(usage).
void open_http();

// A connected client.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // At least one and at most `size` bytes; 0 at the end, and -1 if nothing came in time or the connection broke.
  virtual std::ptrdiff_t read(char* to, std::size_t size) = 0;
  // All of them, or false.
  virtual bool write(const char* from, std::size_t size) = 0;
  virtual int descriptor() const = 0;
};

struct HttpRequest {
  std::string method{}, path{};                          // the path is decoded and has no parameters
  std::multimap<std::string, std::string> parameters{};  // behind the question mark
  std::multimap<std::string, std::string> headers{};     // names in lower case
  std::string body{};

  // The first value of this name, in lower case; "" if there is none.
  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? "" : at->second;
  }
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json", body{};
  std::vector<std::pair<std::string, std::string>> headers{};
};

struct HttpSite {
  // Called before a body is read. A response given here is the answer, and the body stays unread.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> refuse{};
  // Asked before the first so many bytes of a body are kept. False: the answer is that of failed(503), and the rest stays unread.
  std::function<bool(std::size_t bytes)> takes_body{};
  // Called with the whole request. May throw: the answer is then that of failed(500).
  std::function<HttpResponse(const HttpRequest& request)> answer{};
  // What is said where the library itself refuses a request (400, 414), and where a body did not arrive whole (400) or has no
  // room (503).
  std::function<HttpResponse(int status)> failed{};
  // For every response.
  std::vector<std::pair<std::string, std::string>> headers{};
};

// Returns the status that was sent; 0 if there was no request, or it could not be answered. The connection serves one request:
// the response says so, and closing it is left to the caller. Throws Error(usage) if the module is not there, or does not open.
int exchange_http(ByteStream& stream, const HttpSite& site);

}  // namespace kindred::third_party
