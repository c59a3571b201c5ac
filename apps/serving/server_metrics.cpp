#include <kindred/apps/serving/server_metrics.h>

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace kindred {
namespace {

std::string metric_heading(const std::string& name, const std::string& help, const char* type) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

template <typename T>
std::string single_metric(const std::string& name, const std::string& help, const char* type, T value) {
  return fmt::format("{}{} {}\n", metric_heading(name, help, type), name, value);
}

std::string known_path(const std::string& path) {
  for (const char* const known : {"/", "/predict", "/health", "/metrics"})
    if (path == known) return path;
  return "other";
}

const char* outcome_label(ImageOutcome outcome) {
  switch (outcome) {
    case ImageOutcome::answered:
      return "answered";
    case ImageOutcome::unreadable:
      return "unreadable";
    default:
      return "failed";
  }
}

}  // namespace

Histogram::Histogram(std::initializer_list<double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

void Histogram::add(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += value;
}

std::string Histogram::text(const std::string& name, const std::string& help) const {
  std::string lines = metric_heading(name, help, "histogram");
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    lines += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name,
                         i < bounds_.size() ? fmt::format("{}", bounds_[i]) : "+Inf", below);
  }
  return lines + fmt::format("{0}_sum {1}\n{0}_count {2}\n", name, sum_, below);
}

void ServerMetrics::add_request(const std::string& path, int status, double seconds,
                                std::uint64_t received_bytes, std::uint64_t sent_bytes) {
  const std::lock_guard lock(mutex_);
  ++requests_[{known_path(path), status}];
  request_seconds_.add(seconds);
  received_ += received_bytes;
  sent_ += sent_bytes;
}

void ServerMetrics::add_image(ImageOutcome outcome) {
  const std::lock_guard lock(mutex_);
  ++images_[outcome];
}

void ServerMetrics::add_preparation(double seconds) {
  const std::lock_guard lock(mutex_);
  preparation_seconds_.add(seconds);
}

void ServerMetrics::add_batch(std::int64_t images, double seconds) {
  const std::lock_guard lock(mutex_);
  batch_images_.add(static_cast<double>(images));
  batch_seconds_.add(seconds);
}

std::uint64_t ServerMetrics::requests() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  for (const auto& [key, requests] : requests_) count += requests;
  return count;
}

std::uint64_t ServerMetrics::images() const {
  const std::lock_guard lock(mutex_);
  const auto at = images_.find(ImageOutcome::answered);
  return at == images_.end() ? 0 : at->second;
}

std::string ServerMetrics::text(const ServerState& now) const {
  const std::lock_guard lock(mutex_);
  std::string lines =
      metric_heading("kindred_requests_total", "Requests by path and status; 0: none was sent.", "counter");
  for (const auto& [key, count] : requests_)
    lines +=
        fmt::format("kindred_requests_total{{path=\"{}\",code=\"{}\"}} {}\n", key.first, key.second, count);
  lines += metric_heading("kindred_images_total", "Images by what became of them.", "counter");
  for (const ImageOutcome outcome : {ImageOutcome::answered, ImageOutcome::unreadable, ImageOutcome::failed}) {
    const auto at = images_.find(outcome);
    lines += fmt::format("kindred_images_total{{outcome=\"{}\"}} {}\n", outcome_label(outcome),
                         at == images_.end() ? 0 : at->second);
  }
  lines += single_metric("kindred_received_bytes_total", "Bytes of requests.", "counter", received_);
  lines += single_metric("kindred_sent_bytes_total", "Bytes of responses.", "counter", sent_);
  lines += single_metric("kindred_waiting_images", "Images in the queue.", "gauge", now.waiting_images);
  lines += single_metric("kindred_connections", "Open connections.", "gauge", now.connections);
  lines += request_seconds_.text("kindred_request_seconds", "From the connection to the end of the response.");
  lines += preparation_seconds_.text("kindred_preparation_seconds", "Decoding and resizing an image.");
  lines += batch_seconds_.text("kindred_batch_seconds", "Computing a batch.");
  return lines + batch_images_.text("kindred_batch_images", "Images of a batch.");
}

}  // namespace kindred
