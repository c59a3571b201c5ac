// What a client gets: the page, /predict, /health and /metrics, and errors as {"error": "..."}.
#pragma once

#include <kindred/apps/serving/gate.h>
#include <kindred/apps/serving/predictions.h>
#include <kindred/apps/serving/requests/access_token.h>
#include <kindred/apps/serving/requests/connection.h>
#include <kindred/apps/serving/requests/request_rules.h>
#include <kindred/apps/serving/server_metrics.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

namespace kindred {

struct SiteRules {
  RequestRules requests{};
  ConnectionLimits limits{};
  std::string token{};                   // "": none is asked for
  std::size_t most_received_bytes = 0;   // bodies of all requests together
  std::chrono::seconds preparation{60};  // in which the images of a request must be prepared
  std::string page{};                    // of "/"
};

// Thread-safe.
class Site {
 public:
  // `state` is asked for /metrics. What is referred to must outlive the site.
  Site(SiteRules rules, Predictor& predictor, ServerMetrics& metrics, std::function<ServerState()> state,
       const std::atomic<bool>& stopping);

  // One request and its response.
  void serve(OpenSocket socket, const std::string& address) noexcept;
  // 503, without waiting for anything: there are too many connections.
  void refuse(OpenSocket socket) noexcept;

 private:
  struct Visit;
  void exchange(Visit& visit);
  third_party::HttpSite http_site(Visit& visit);
  void admit(Visit& visit, const third_party::HttpRequest& head);
  bool takes_body(Visit& visit, std::size_t bytes) const;
  void check_wanted(const Visit& visit, double until) const;
  third_party::HttpResponse answer(Visit& visit, const third_party::HttpRequest& request);
  third_party::HttpResponse answer_or_refuse(Visit& visit, const third_party::HttpRequest& request);
  third_party::HttpResponse failed(const Visit& visit, int status) const;

  const SiteRules rules_;
  TokenCheck token_;
  Gate uploads_;
  Predictor& predictor_;
  ServerMetrics& metrics_;
  const std::function<ServerState()> state_;
  const std::atomic<bool>& stopping_;
};

}  // namespace kindred
