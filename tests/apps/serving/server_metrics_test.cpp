// The text of /metrics, read back line by line as Prometheus reads it.
#include <kindred/apps/serving/server_metrics.h>

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace kindred {
namespace {

// Each sample by its name with labels. Every line must be a sample, or # HELP and # TYPE of a name that was not there before.
std::map<std::string, double> samples_of(const std::string& text) {
  const std::regex sample(R"(([a-z_]+)(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? ([-+.0-9eE]+|\+Inf))");
  const std::regex type(R"(# TYPE ([a-z_]+) (counter|gauge|histogram))"), help(R"(# HELP ([a-z_]+) .+)");
  std::map<std::string, double> samples;
  std::set<std::string> types;
  std::string current, helped;
  std::istringstream lines(text);
  CHECK(text.ends_with('\n'));
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      helped = match[1];
    } else if (std::regex_match(line, match, type)) {
      current = match[1];
      CHECK(current == helped);
      CHECK(types.insert(current).second);
    } else {
      REQUIRE(std::regex_match(line, match, sample));
      CHECK(match[1].str().starts_with(current));
      const std::string name = match[1].str() + match[2].str();
      CHECK(samples.emplace(name, std::strtod(match[4].str().c_str(), nullptr)).second);
    }
  }
  return samples;
}

TEST_CASE("serving: metrics count what was added") {
  ServerMetrics metrics;
  metrics.add_request("/predict", 200, 0.03, 1000, 200);
  metrics.add_request("/predict", 200, 70, 500, 100);
  metrics.add_request("/predict", 422, 0.001, 10, 10);
  metrics.add_request("/", 200, 0.001, 10, 10);
  metrics.add_request("/a\"b\n", 404, 0.001, 10, 10);
  metrics.add_request("", 0, 0.001, 10, 0);
  metrics.add_image(ImageOutcome::answered);
  metrics.add_image(ImageOutcome::answered);
  metrics.add_image(ImageOutcome::unreadable);
  metrics.add_batch(32, 0.5);
  metrics.add_batch(1, 0.02);
  metrics.add_preparation(0.004);
  const auto samples = samples_of(metrics.text({7, 3}));
  CHECK(samples.at("kindred_requests_total{path=\"/predict\",code=\"200\"}") == 2);
  CHECK(samples.at("kindred_requests_total{path=\"/predict\",code=\"422\"}") == 1);
  CHECK(samples.at("kindred_requests_total{path=\"other\",code=\"404\"}") == 1);
  CHECK(samples.at("kindred_requests_total{path=\"other\",code=\"0\"}") == 1);
  CHECK(samples.at("kindred_images_total{outcome=\"answered\"}") == 2);
  CHECK(samples.at("kindred_images_total{outcome=\"unreadable\"}") == 1);
  CHECK(samples.at("kindred_images_total{outcome=\"failed\"}") == 0);
  CHECK(samples.at("kindred_received_bytes_total") == 1540);
  CHECK(samples.at("kindred_sent_bytes_total") == 330);
  CHECK(samples.at("kindred_waiting_images") == 7);
  CHECK(samples.at("kindred_connections") == 3);
  CHECK(samples.at("kindred_request_seconds_count") == 6);
  CHECK(samples.at("kindred_request_seconds_sum") == doctest::Approx(70.034));
  CHECK(samples.at("kindred_request_seconds_bucket{le=\"60\"}") == 5);
  CHECK(samples.at("kindred_request_seconds_bucket{le=\"+Inf\"}") == 6);
  CHECK(samples.at("kindred_batch_images_bucket{le=\"1\"}") == 1);
  CHECK(samples.at("kindred_batch_images_bucket{le=\"32\"}") == 2);
  CHECK(metrics.requests() == 6);
  CHECK(metrics.images() == 2);
}

TEST_CASE("serving: a histogram's buckets hold all values up to their bound") {
  const std::vector<double> bounds{0.5, 1, 10};
  Histogram histogram{0.5, 1, 10};
  std::mt19937 random(5);
  std::vector<double> values{0.5, 1, 10, 0, 11};  // a value at a bound is within it
  for (int i = 0; i < 200; ++i) values.push_back(static_cast<double>(random() % 1200) / 100);
  double sum = 0;
  for (const double value : values) histogram.add(value), sum += value;
  const auto samples = samples_of(histogram.text("h", "Help."));
  for (const auto& [name, bound] :
       {std::pair{"h_bucket{le=\"0.5\"}", 0.5}, {"h_bucket{le=\"1\"}", 1.0}, {"h_bucket{le=\"10\"}", 10.0}})
    CHECK(samples.at(name) ==
          std::count_if(values.begin(), values.end(), [b = bound](double v) { return v <= b; }));
  CHECK(samples.at("h_bucket{le=\"+Inf\"}") == static_cast<double>(values.size()));
  CHECK(samples.at("h_count") == static_cast<double>(values.size()));
  CHECK(samples.at("h_sum") == doctest::Approx(sum));
}

}  // namespace
}  // namespace kindred
