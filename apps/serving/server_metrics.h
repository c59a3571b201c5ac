// What /metrics says, in the text format 0.0.4 of Prometheus.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class Histogram {
 public:
  explicit Histogram(std::initializer_list<double> bounds);  // upper bounds, rising, without infinity
  void add(double value);
  // Its lines: <name>_bucket{le="..."}, <name>_sum and <name>_count, with # HELP and # TYPE.
  std::string text(const std::string& name, const std::string& help) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;  // [bounds + 1], of each bucket alone
  double sum_ = 0;
};

enum class ImageOutcome : std::uint8_t { answered, unreadable, failed };

// What holds at the moment that /metrics is asked.
struct ServerState {
  std::size_t waiting_images = 0;
  std::size_t connections = 0;
};

// Thread-safe.
class ServerMetrics {
 public:
  // path: one of the server's own, anything else is counted as "other". status 0: the client left without an answer.
  void add_request(const std::string& path, int status, double seconds, std::uint64_t received,
                   std::uint64_t sent);
  void add_image(ImageOutcome outcome);
  void add_preparation(double seconds);
  void add_batch(std::int64_t images, double seconds);

  std::string text(const ServerState& now) const;
  std::uint64_t requests() const;
  std::uint64_t images() const;  // that were answered

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::map<ImageOutcome, std::uint64_t> images_;
  std::uint64_t received_ = 0, sent_ = 0;
  Histogram request_seconds_{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
  Histogram preparation_seconds_{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};
  Histogram batch_seconds_{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
  Histogram batch_images_{1, 2, 4, 8, 16, 32, 64, 128, 256};
};

}  // namespace kindred
