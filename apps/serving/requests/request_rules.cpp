#include <kindred/apps/console/progress.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/requests/request_rules.h>
#include <kindred/apps/serving/requests/request_text.h>

#include <arpa/inet.h>  // defines: inet_pton

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace kindred {
namespace {

// The host without its port, in lower case; "" if it is none.
std::string host_alone(std::string_view host) {
  const std::size_t end = host.starts_with('[') ? host.find(']') : host.find(':');
  if (host.starts_with('[') && end == std::string_view::npos) return "";
  const std::size_t length =
      end == std::string_view::npos ? host.size() : end + (host.starts_with('[') ? 1 : 0);
  std::string_view port = host.substr(length);
  if (!port.empty() &&
      (port.front() != ':' || port.find_first_not_of("0123456789", 1) != std::string_view::npos))
    return "";
  return lower_ascii(host.substr(0, length));
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (host.starts_with('[') && host.ends_with(']'))
    return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), bytes.data()) == 1;
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1;
}

// The kind of the body without its parameters, in lower case.
std::string kind_of(std::string_view content_type) {
  return lower_ascii(trimmed(content_type.substr(0, content_type.find(';'))));
}

// Browsers say so themselves where a request comes from.
void check_source(const third_party::HttpRequest& head, const std::string& host) {
  if (head.headers.contains("origin") && !is_origin_of(head.header("origin"), host))
    throw Refused(403, "this request comes from another page; only the server's own page and programs may ask");
  if (same_in_lower_case(head.header("sec-fetch-site"), "cross-site"))
    throw Refused(403, "this request comes from another site; only the server's own page and programs may ask");
}

void check_body(const third_party::HttpRequest& head, const RequestRules& rules) {
  if (head.headers.contains("transfer-encoding") || !head.headers.contains("content-length"))
    throw Refused(411, "the length of the body is missing: expected a Content-Length, and the body as it is");
  const std::size_t length = stated_length(head);
  if (length > rules.most_upload_bytes)
    throw Refused(413, fmt::format("{} are too many: expected at most {} (--max-upload)",
                                   format_bytes(static_cast<double>(length)),
                                   format_bytes(static_cast<double>(rules.most_upload_bytes))));
  const std::string encoding = head.header("content-encoding");
  if (!encoding.empty() && !same_in_lower_case(encoding, "identity"))
    throw Refused(
        415, fmt::format("Content-Encoding {}: expected the image's bytes as they are", one_line(encoding)));
  const std::string type = head.header("content-type");
  if (!may_be_image(type))
    throw Refused(415, fmt::format("Content-Type {}: expected the bytes of an image (image/* or "
                                   "application/octet-stream), or files in multipart/form-data",
                                   one_line(type)));
}

}  // namespace

bool is_allowed_host(std::string_view host, const RequestRules& rules) {
  const std::string name = host_alone(host);
  if (name == "localhost" || name == "127.0.0.1" || name == "[::1]") return true;
  if (rules.takes_any_address && is_address(name)) return true;
  return !name.empty() && std::find(rules.hosts.begin(), rules.hosts.end(), name) != rules.hosts.end();
}

bool is_origin_of(std::string_view origin, std::string_view host) {
  const std::string wanted = lower_ascii(host);
  return !wanted.empty() &&
         (same_in_lower_case(origin, "http://" + wanted) || same_in_lower_case(origin, "https://" + wanted));
}

bool is_form(std::string_view content_type) {
  return kind_of(content_type) == "multipart/form-data";
}

bool may_be_image(std::string_view content_type) {
  const std::string kind = kind_of(content_type);
  return kind.empty() || kind.starts_with("image/") || kind == "application/octet-stream" ||
         kind == "application/x-www-form-urlencoded" || is_form(content_type);
}

std::size_t stated_length(const third_party::HttpRequest& head) {
  const auto [first, last] = head.headers.equal_range("content-length");
  if (first == last) return 0;
  const std::string& text = first->second;
  std::size_t length = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), length);
  if (std::next(first) != last || text.empty() || read.ptr != text.data() + text.size() ||
      read.ec == std::errc::invalid_argument)
    throw Refused(400, "the Content-Length cannot be read: expected one number");
  return read.ec == std::errc::result_out_of_range ? static_cast<std::size_t>(-1) : length;
}

void check_head(const third_party::HttpRequest& head, const RequestRules& rules) {
  if (head.headers.count("host") != 1) throw Refused(400, "expected one Host header");
  const std::string host = head.header("host");
  if (!is_allowed_host(host, rules))
    throw Refused(403, fmt::format("the server is not called {}; --allow-host lets it be", one_line(host)));
  const bool predicts = head.path == "/predict";
  if (!predicts && head.path != "/" && head.path != "/health" && head.path != "/metrics")
    throw Refused(404, "there is nothing here: expected /, /predict, /health or /metrics");
  const bool reads = head.method == "GET" || head.method == "HEAD";
  if (predicts ? head.method != "POST" : !reads)
    throw Refused(405, predicts ? "expected POST with an image" : "expected GET");
  if (!predicts) return;
  check_source(head, host);
  check_body(head, rules);
}

}  // namespace kindred
