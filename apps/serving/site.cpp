#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/serving/requests/refused.h>
#include <kindred/apps/serving/site.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace kindred {
namespace {

constexpr std::size_t step_of_bodies = std::size_t{256} << 10;

std::string error_json(const std::string& words) {
  return json_text({{"error", words}}) + "\n";
}

third_party::HttpResponse refusal_response(const Refused& refused) {
  third_party::HttpResponse response{refused.status(), "application/json", error_json(refused.what()), {}};
  if (refused.retry_after() > 0)
    response.headers.emplace_back("Retry-After", std::to_string(refused.retry_after()));
  if (refused.status() == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (refused.status() == 405) response.headers.emplace_back("Allow", "GET, HEAD, POST");
  return response;
}

Refused refusal_of_body() {
  return {503, "too much is being sent at once: try again", 1};
}

// For clients of whom no request was read, so that the library has nothing to answer.
std::string response_text(int status, const char* reason, const std::string& words, const char* headers = "") {
  const std::string body = error_json(words);
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
      status, reason, body.size(), headers, body);
}

// What browsers are told beside each response: to show it only as what it is, in no other site's page, and to keep nothing.
std::vector<std::pair<std::string, std::string>> common_headers() {
  return {{"X-Content-Type-Options", "nosniff"},
          {"X-Frame-Options", "DENY"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cache-Control", "no-store"}};
}

}  // namespace

struct Site::Visit {
  Visit(OpenSocket socket, const std::string& from, const Site& site)
      : connection(std::move(socket), site.rules_.limits, site.stopping_), address(from) {}

  Connection connection;
  const std::string& address;
  double start = now_seconds();
  std::string path{};  // "" until a request was read
  std::optional<Gate::Pass> upload{};
  std::size_t stated_bytes = 0;  // of the body
  RequestWork work{};
  bool has_left = false;  // before there was an answer
  int status = 0;
};

Site::Site(SiteRules rules, Predictor& predictor, ServerMetrics& metrics, std::function<ServerState()> state,
           const std::atomic<bool>& stopping)
    : rules_(std::move(rules)),
      token_(rules_.token),
      uploads_(std::numeric_limits<std::int64_t>::max(), rules_.most_received_bytes),
      predictor_(predictor),
      metrics_(metrics),
      state_(std::move(state)),
      stopping_(stopping) {}

// Whether the request may be read further. Throws Refused.
void Site::admit(Visit& visit, const third_party::HttpRequest& head) {
  visit.path = head.path;
  check_head(head, rules_.requests);
  if (head.path == "/predict" || head.path == "/metrics")
    token_.check(head.header("authorization"), visit.address);
  if (head.path != "/predict") return;
  visit.stated_bytes = stated_length(head);
  if (auto upload = uploads_.try_to_enter(0)) visit.upload.emplace(std::move(*upload));
  if (!takes_body(visit, std::min<std::size_t>(visit.stated_bytes, 1))) throw refusal_of_body();
}

// Whether there is room for so many bytes of the body. It is taken in steps for what has arrived: whoever only states a length
// keeps nobody else out.
bool Site::takes_body(Visit& visit, std::size_t bytes) const {
  if (!visit.upload) return false;
  const std::size_t taken = visit.upload->amount();
  if (bytes <= taken) return true;
  const std::size_t wanted = std::max(bytes, std::min(visit.stated_bytes, taken + step_of_bodies));
  return visit.upload->try_to_grow(wanted - taken);
}

void Site::check_wanted(const Visit& visit, double until) const {
  if (stopping_) throw Refused(503, "the server is ending", 1);
  if (visit.connection.has_client_left()) throw Refused(503, "the connection was closed before the answer");
  if (now_seconds() > until)
    throw Refused(503,
                  fmt::format("the images were not decoded within {} s (--timeout): the server is busy; try "
                              "again, with fewer images in a request",
                              rules_.preparation.count()),
                  1);
}

third_party::HttpResponse Site::answer(Visit& visit, const third_party::HttpRequest& request) {
  if (request.path == "/") return {200, "text/html; charset=utf-8", rules_.page, {}};
  if (request.path == "/health") return {200, "application/json", "{\"status\": \"ok\"}\n", {}};
  if (request.path == "/metrics")
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text(state_()), {}};
  const double until = now_seconds() + static_cast<double>(rules_.preparation.count());
  visit.work.check = [this, &visit, until] { check_wanted(visit, until); };
  return {200, "application/json", json_text(predictor_.answer(request, visit.work)) + "\n", {}};
}

third_party::HttpResponse Site::answer_or_refuse(Visit& visit, const third_party::HttpRequest& request) {
  try {
    return answer(visit, request);
  } catch (const Refused& refused) {
    visit.has_left = visit.connection.has_client_left();
    return refusal_response(refused);
  } catch (const std::bad_alloc&) {
    return refusal_response(Refused(503, "out of memory on the host: try again", 1));
  } catch (const std::exception& error) {
    return refusal_response(Refused(500, one_line(error.what())));
  }
}

third_party::HttpResponse Site::failed(const Visit& visit, int status) const {
  if (status == 400 && visit.connection.was_late())
    return {408, "application/json", error_json("the request did not arrive in time"), {}};
  if (status == 400)
    return {400,
            "application/json",
            error_json("this is no whole HTTP request: it cannot be read, or ends too early"),
            {}};
  if (status == 503) return refusal_response(refusal_of_body());
  if (status == 414) return {414, "application/json", error_json("the address is too long"), {}};
  return {status, "application/json", error_json("the request cannot be answered"), {}};
}

third_party::HttpSite Site::http_site(Visit& visit) {
  third_party::HttpSite site;
  site.headers = common_headers();
  site.refuse = [this,
                 &visit](const third_party::HttpRequest& head) -> std::optional<third_party::HttpResponse> {
    try {
      admit(visit, head);
      return std::nullopt;
    } catch (const Refused& refused) {
      return refusal_response(refused);
    }
  };
  site.takes_body = [this, &visit](std::size_t bytes) { return takes_body(visit, bytes); };
  site.answer = [this, &visit](const third_party::HttpRequest& request) {
    return answer_or_refuse(visit, request);
  };
  site.failed = [this, &visit](int status) { return failed(visit, status); };
  return site;
}

void Site::exchange(Visit& visit) {
  Connection& connection = visit.connection;
  switch (connection.read_head()) {
    case Connection::Head::complete:
      visit.status = third_party::exchange_http(connection, http_site(visit));
      if (visit.has_left) visit.status = 0;
      return;
    case Connection::Head::too_long:
      visit.status = 431;
      connection.write(response_text(
          431, "Request Header Fields Too Large",
          fmt::format("the head of the request is longer than {} bytes", rules_.limits.head_bytes)));
      return;
    case Connection::Head::late:
      if (connection.received() == 0) return;  // browsers open connections that they may need
      visit.status = 408;
      connection.write(response_text(408, "Request Timeout", "the request did not arrive in time"));
      return;
    default:
      return;
  }
}

void Site::serve(OpenSocket socket, const std::string& address) noexcept {
  try {
    Visit visit(std::move(socket), address, *this);
    exchange(visit);
    visit.upload.reset();
    visit.work.images.reset();
    const Connection& connection = visit.connection;
    if (connection.received() > 0)
      metrics_.add_request(visit.path, visit.status, now_seconds() - visit.start, connection.received(),
                           connection.sent());
    if (visit.status != 0) visit.connection.say_farewell();
  } catch (const std::exception&) {
    // No memory even to say so: the client sees that the connection ends, and others go on.
  }
}

void Site::refuse(OpenSocket socket) noexcept {
  try {
    ConnectionLimits at_once = rules_.limits;
    at_once.response = at_once.farewell = std::chrono::milliseconds(0);
    Connection connection(std::move(socket), at_once, stopping_);
    connection.write(
        response_text(503, "Service Unavailable", "too many connections: try again", "Retry-After: 1\r\n"));
    connection.say_farewell();
    metrics_.add_request("", 503, 0, connection.received(), connection.sent());
  } catch (const std::exception&) {
    // As above.
  }
}

}  // namespace kindred
