// What the head of a request must say before anything else of it is read.
//
// A page from elsewhere, open in the same browser, must not be able to use the server. Such a page can send requests to
// 127.0.0.1: a form without asking, which the Origin tells; and under a name of its own that it has pointed to 127.0.0.1 (DNS
// rebinding), which the Host tells. Programs send no Origin.
#pragma once

#include <kindred/third_party/httplib/http_exchange.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct RequestRules {
  // Names under which the server may be asked, besides localhost, 127.0.0.1 and [::1]; in lower case, IPv6 addresses in brackets.
  std::vector<std::string> hosts{};
  // Also a Host that is an address, which nobody can point elsewhere: for servers of a network.
  bool takes_any_address = false;
  std::size_t most_upload_bytes = 0;
};

// `host` as a Host header has it, "localhost:8020".
bool is_allowed_host(std::string_view host, const RequestRules& rules);

// Whether `origin` is "http://<host>" or "https://<host>".
bool is_origin_of(std::string_view origin, std::string_view host);

// Whether a body of this Content-Type may be an image: image/*, application/octet-stream, multipart/form-data, none; and what
// curl says of its own accord. What it really is, its bytes tell.
bool may_be_image(std::string_view content_type);
bool is_form(std::string_view content_type);  // multipart/form-data

// Throws Refused: 400 for a head that contradicts itself, 403 for another Host or Origin, 404, 405, and for a body: 411
// without its length, 413 if it is longer than allowed, 415 for another kind.
void check_head(const third_party::HttpRequest& head, const RequestRules& rules);

// The length that the head says; 0 without one. Throws Refused(400) if it is no number, or there are several.
std::size_t stated_length(const third_party::HttpRequest& head);

}  // namespace kindred
