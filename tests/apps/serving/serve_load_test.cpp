// The built program under requests that ask for too much: none of them may keep the others out, or the server from its end.
#include "../programs.h"
#include "running_server.h"
#include "served_run.h"

#include <kindred/data/images/jpeg_writer.h>

#include <doctest/doctest.h>

#include <signal.h>  // defines: SIGTERM

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("serve: uploads that state much and send little keep nobody out") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --max-upload 1");  // bodies together: 8 MiB
  std::vector<std::unique_ptr<LocalClient>> idle;
  for (int i = 0; i < 20; ++i) {
    idle.push_back(std::make_unique<LocalClient>(server.port()));
    REQUIRE(
        idle.back()->send("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\nabc"));
  }
  CHECK(ask(server.port(), post_of("/predict", read_bytes(run.images[0]))).status == 200);
}

// A form of large pictures: several seconds of work.
std::string large_form() {
  Image gray(4000, 4000);
  std::fill(gray.pixels.begin(), gray.pixels.end(), std::uint8_t{128});
  const auto jpeg = encode_jpeg(gray, 50);
  std::string form;
  for (int i = 0; i < 64; ++i) form += one_file("large", std::string(jpeg.begin(), jpeg.end()));
  return form + "--B--";
}

// The number that stands behind `name` in what /metrics says.
double metric(const RunningServer& server, const std::string& name) {
  const std::string text = ask(server.port(), get_of("/metrics")).body;
  const std::size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + name.size() + 2);
}

TEST_CASE("serve: large pictures are given up when the client leaves, and when a signal ends the server") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --workers 1");
  const std::string request = post_of("/predict", large_form(), form_type);
  const std::string prepared = "kindred_preparation_seconds_count";
  {
    const LocalClient leaves(server.port());
    REQUIRE(leaves.send(request));
    while (metric(server, prepared) == 0) std::this_thread::yield();
  }
  const std::string left = "kindred_requests_total{path=\"/predict\",code=\"0\"}";
  while (metric(server, left) == 0 && metric(server, prepared) < 64) std::this_thread::yield();
  const double before = metric(server, prepared);
  CHECK(before < 64);
  CHECK(metric(server, left) == 1);

  std::vector<std::unique_ptr<LocalClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<LocalClient>(server.port()));
    REQUIRE(clients.back()->send(request));
  }
  while (metric(server, prepared) == before) std::this_thread::yield();
  server.signal(SIGTERM);
  for (const auto& client : clients) {
    const HttpAnswer answer = client->answer();
    CAPTURE(answer.body);
    CHECK((answer.status == 503 || answer.status == 408));  // 408: it had not arrived yet
  }
  CHECK(server.wait() == 0);
  CHECK(says({0, server.said()}, " 0 images\n"));
}

TEST_CASE("serve: images beyond those that may wait are refused before they are decoded") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --workers 1 --max-waiting 64");
  const LocalClient first(server.port());
  REQUIRE(first.send(post_of("/predict", large_form(), form_type)));
  while (metric(server, "kindred_preparation_seconds_count") == 0) std::this_thread::yield();
  const auto refused = ask(server.port(), post_of("/predict", read_bytes(run.images[0])));
  CHECK(refused.status == 503);
  CHECK(refused.header("Retry-After") == "1");
}

}  // namespace
}  // namespace kindred
