// The built program, over a socket: what it answers, what it refuses, and how it ends.
#include "../programs.h"
#include "running_server.h"
#include "served_run.h"

#include <kindred/encoder/encoder.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>

#include <signal.h>  // defines: SIGTERM, SIGINT

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// What classify says about images, as JSON.
nlohmann::json classified(const ServedRun& run) {
  std::string names;
  for (const std::string& image : run.images) names += image + " ";
  const auto result =
      run_program("classify", names + "--encoder " + run.run + " --classifier " + run.probe + " --json");
  REQUIRE(result.code == 0);
  return parse_json(result.output.substr(result.output.find("[\n")));
}

void check_same(const nlohmann::json& served, const nlohmann::json& expected) {
  REQUIRE(served.size() == expected.size());
  for (std::size_t i = 0; i < served.size(); ++i) {
    CHECK(served[i].at("class") == expected[i].at("class"));
    CHECK(served[i].at("probability").get<double>() ==
          doctest::Approx(expected[i].at("probability").get<double>()).epsilon(1e-4));
  }
}

TEST_CASE("serve: the answers of fifty requests at once are those of classify and of the encoder") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " -b 16");
  std::vector<HttpAnswer> answers(50);
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < answers.size(); ++i)
    clients.emplace_back([&, i] {
      answers[i] =
          ask(server.port(), post_of("/predict?feature=1", read_bytes(run.images[i % run.images.size()])));
    });
  for (std::thread& client : clients) client.join();

  const nlohmann::json expected = classified(run);
  const Encoder encoder = Encoder::open(run.run, {.device = "cpu"});
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CAPTURE(answers[i].body);
    REQUIRE(answers[i].status == 200);
    const nlohmann::json answer = answers[i].json();
    check_same(answer.at("predictions"), expected[i % run.images.size()].at("predictions"));
    CHECK(!answer.contains("neighbours"));
    const auto feature = answer.at("feature").get<std::vector<double>>();
    const auto own = encoder.features(run.images[i % run.images.size()]).to_vector<double>();
    REQUIRE(feature.size() == own.size());
    double difference = 0, size = 0;
    for (std::size_t k = 0; k < own.size(); ++k)
      difference += std::pow(feature[k] - own[k], 2), size += std::pow(own[k], 2);
    CHECK(std::sqrt(difference) < 1e-5 * std::sqrt(size));
  }

  const std::string metrics = ask(server.port(), get_of("/metrics")).body;
  CHECK(metrics.find("kindred_images_total{outcome=\"answered\"} 50\n") != std::string::npos);
  CHECK(metrics.find("kindred_requests_total{path=\"/predict\",code=\"200\"} 50\n") != std::string::npos);
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
  CHECK(server.said().ends_with(
      "SIGTERM: no more requests are taken, and all are answered: 51 requests, 50 images\n"));
}

TEST_CASE("serve: a form with several files, the page, and what else there is") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --top 2");
  const std::string first = read_bytes(run.images[0]);
  const auto answer = ask(server.port(), post_of("/predict?pictures=1",
                                                 one_file("a<b>.jpg", first) + one_file("words", "no image") +
                                                     one_file("c", read_bytes(run.images[20])) + "--B--",
                                                 form_type));
  REQUIRE(answer.status == 200);
  const nlohmann::json images = answer.json().at("images"), expected = classified(run);
  REQUIRE(images.size() == 3);
  CHECK(images[0].at("file") == "a<b>.jpg");
  CHECK(images[0].at("picture").get<std::string>().starts_with("data:image/jpeg;base64,"));
  REQUIRE(images[0].at("predictions").size() == 2);
  CHECK(images[0].at("predictions")[0].at("class") == expected[0].at("predictions")[0].at("class"));
  CHECK(images[1].at("error").get<std::string>().find("not an image") != std::string::npos);
  CHECK(images[2].at("predictions")[0].at("class") == expected[20].at("predictions")[0].at("class"));

  const auto page = ask(server.port(), get_of("/"));
  CHECK(page.status == 200);
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  CHECK(page.header("X-Frame-Options") == "DENY");
  CHECK(page.header("Access-Control-Allow-Origin").empty());
  CHECK(page.body.starts_with("<!doctype html>"));
  CHECK(page.body.find("drawServe") != std::string::npos);
  CHECK(page.header("Content-Length") == std::to_string(page.body.size()));
  const auto health = ask(server.port(), get_of("/health"));
  CHECK(health.status == 200);
  CHECK(health.json() == nlohmann::json{{"status", "ok"}});
  CHECK(ask(server.port(), get_of("/metrics")).header("Content-Type") ==
        "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("serve: each request that is no good has its status and a reason, and the next one is answered") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --max-upload 1 --max-megapixels 1");
  const std::string image = read_bytes(run.images[0]);
  const auto expect = [&](int status, const std::string& request) {
    const auto answer = ask(server.port(), request);
    CAPTURE(request.substr(0, 200));
    CAPTURE(answer.body);
    CHECK(answer.status == status);
    if (answer.status != 0) CHECK(!answer.json().at("error").get<std::string>().empty());
    return answer;
  };
  const std::string head = "POST /predict HTTP/1.1\r\nHost: localhost\r\n";

  expect(422, post_of("/predict", "this is text\n"));
  expect(415, post_of("/predict", "this is text\n", "Content-Type: text/plain\r\n"));
  expect(400, post_of("/predict", ""));
  expect(400, post_of("/predict?feature=yes", image));
  expect(400, post_of("/predict", one_file("a", image), form_type));  // without its end
  expect(400, post_of("/predict", "--B--", form_type));
  expect(413, head + "Content-Length: 104857600\r\n\r\n");  // none of it is sent
  expect(413, head + "Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n");
  expect(413, post_of("/predict", std::string((1 << 20) + 1, 'x')));
  expect(411, head + "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n");
  expect(400, head + "Content-Length: many\r\n\r\n");
  expect(405, get_of("/predict"));
  CHECK(expect(405, post_of("/", image)).header("Allow") == "GET, HEAD, POST");
  expect(404, get_of("/favicon.ico"));
  expect(404, get_of("/../../etc/passwd"));
  expect(403, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  expect(403, post_of("/predict", image, "Origin: http://evil.example\r\n"));
  expect(400, "GET / HTTP/1.1\r\n\r\n");
  expect(400, "nonsense\r\n\r\n");
  expect(400, std::string("\0\0\0\r\n\r\n", 7));
  expect(431, "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20000, 'x'));
  {  // a body that ends before its length
    const LocalClient client(server.port());
    client.send(head + "Content-Length: 1000\r\n\r\n" + image.substr(0, 100));
    client.end_sending();
    CHECK(client.answer().status == 400);
  }
  {  // a client that asks first whether it may send
    const LocalClient client(server.port());
    client.send(head + "Content-Length: " + std::to_string(image.size()) + "\r\nExpect: 100-continue\r\n\r\n");
    client.send(image);
    const HttpAnswer both = client.answer();
    CHECK(both.status == 100);
    CHECK(both.body.find("HTTP/1.1 200 OK") == 0);
  }
  CHECK(ask(server.port(), post_of("/predict", image, "Origin: http://127.0.0.1\r\n")).status == 200);
  server.signal(SIGINT);
  CHECK(server.wait() == 0);
}

TEST_CASE("serve: a token is asked for, by name or from the environment") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  const std::string image = read_bytes(run.images[0]), token = "0123456789abcdefXYZ";
  RunningServer server(run.flags(), "KINDRED_TOKEN=" + token);
  CHECK(server.said().find(token) == std::string::npos);
  const auto status = [&](const std::string& header) {
    return ask(server.port(), post_of("/predict", image, header)).status;
  };
  const auto refused = ask(server.port(), post_of("/predict", image));
  CHECK(refused.status == 401);
  CHECK(refused.header("WWW-Authenticate") == "Bearer");
  CHECK(status("Authorization: Bearer wrong\r\n") == 401);
  CHECK(status("Authorization: Bearer " + token + "\r\n") == 200);
  CHECK(ask(server.port(), get_of("/metrics")).status == 401);
  CHECK(ask(server.port(), get_of("/metrics", "Authorization: Bearer " + token + "\r\n")).status == 200);
  CHECK(ask(server.port(), get_of("/health")).status == 200);
  CHECK(ask(server.port(), get_of("/")).status == 200);  // it holds nothing, and asks for the token
  for (int i = 0; i < 9; ++i) CHECK(status("Authorization: Bearer wrong\r\n") == 401);
  const auto too_many = ask(server.port(), post_of("/predict", image, "Authorization: Bearer wrong\r\n"));
  CHECK(too_many.status == 429);
  CHECK(std::atoi(too_many.header("Retry-After").c_str()) > 0);
  CHECK(status("Authorization: Bearer " + token + "\r\n") == 200);
}

// Cosines of an image with all others, the largest first, and which they are; computed with plain loops.
std::vector<std::pair<double, std::size_t>> nearest_by_hand(const std::vector<std::vector<double>>& features,
                                                            std::size_t query) {
  const auto product = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  };
  std::vector<std::pair<double, std::size_t>> found;
  const auto& own = features[query];
  for (std::size_t i = 0; i < features.size(); ++i)
    found.emplace_back(
        product(own, features[i]) / std::sqrt(product(own, own) * product(features[i], features[i])), i);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  return found;
}

TEST_CASE("serve: neighbours are the nearest images of the index, by cosine") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  const std::string index = run.folder / "index";
  const auto made =
      run_program("similar", "index " + run.set + "/train --encoder " + run.run + " --out " + index);
  if (says(made, "needs FAISS")) {
    MESSAGE("skipped: built without FAISS");
    return;
  }
  REQUIRE_MESSAGE(made.code == 0, made.output);
  RunningServer server("--index " + index + " -k 5");  // the index knows its encoder
  std::vector<std::vector<double>> features;
  const Encoder encoder = Encoder::open(run.run, {.device = "cpu"});
  for (const std::string& image : run.images) features.push_back(encoder.features(image).to_vector<double>());
  for (const std::size_t query : {0u, 17u, 47u}) {
    const auto answer = ask(server.port(), post_of("/predict?pictures=1", read_bytes(run.images[query])));
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    CHECK(!answer.json().contains("predictions"));
    const nlohmann::json neighbours = answer.json().at("neighbours");
    REQUIRE(neighbours.size() == 5);
    const auto expected = nearest_by_hand(features, query);
    for (std::size_t i = 0; i < 5; ++i) {
      CHECK(neighbours[i].at("similarity").get<double>() == doctest::Approx(expected[i].first).epsilon(1e-5));
      CHECK(neighbours[i].at("thumbnail").get<std::string>().starts_with("data:image/jpeg;base64,"));
    }
    const fs::path best = run.images[query];
    CHECK(fs::path(neighbours[0].at("path").get<std::string>()).filename() == best.filename());
    CHECK(neighbours[0].at("class") == best.parent_path().filename().string());
  }
  CHECK(!ask(server.port(), post_of("/predict", read_bytes(run.images[0])))
             .json()
             .at("neighbours")[0]
             .contains("thumbnail"));

  const std::string other = run.folder / "other";
  REQUIRE(run_program("pretrain", run.set + " --out " + other + tiny + "--seed 7").code == 0);
  const auto refused = run_program("serve", other + " --index " + index);
  CHECK(refused.code == 4);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, "another encoder"));
}

TEST_CASE("serve: a signal ends it although a client is slow, and too many clients are refused") {
  if (!can_serve()) return;
  const ServedRun& run = served_run();
  RunningServer server(run.flags() + " --connections 2");
  const LocalClient slow(server.port()), slower(server.port());
  slow.send("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc");
  slower.send("GET / HT");
  HttpAnswer refused;
  // The two are taken in by threads, which takes an unknown time.
  for (int i = 0; i < 1000 && refused.status != 503; ++i) refused = ask(server.port(), get_of("/health"));
  CHECK(refused.status == 503);
  CHECK(refused.header("Retry-After") == "1");
  CHECK(!refused.json().at("error").get<std::string>().empty());
  server.signal(SIGTERM);
  CHECK(server.wait() == 0);
  CHECK(slow.answer().status == 408);
}

TEST_CASE("serve: what cannot be served is told before anything is") {
  if (!can_serve()) {
    const auto result = run_program("serve", "nothing");
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, "libcpp-httplib-dev"));
    return;
  }
  const ServedRun& run = served_run();
  const auto refused = [&](const std::string& flags, int code, const std::string& words,
                           const std::string& environment = "") {
    // A server that starts after all must not keep the tests.
    const auto result = run_program_with(environment + " timeout 120 env", "serve", flags);
    CAPTURE(flags);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, words));
  };
  refused("", 2, "--encoder");
  refused(run.run + " --encoder " + run.run, 2, "give the encoder once");
  refused(run.run + "/none", 4, "none");
  refused(run.run + " --classifier " + run.set, 4, "classifier");
  refused(run.run + " --index " + run.set, 4, run.set);
  refused(run.run + " --port 65536", 2, "0 to 65535");
  refused(run.run + " --host 0.0.0.0 --port 0", 2, "needs a token");
  refused(run.run + " --host no.such.host.invalid", 2, "--host no.such.host.invalid");
  refused(run.run + " --token short", 2, "at least 16");
  refused(run.run, 2, "KINDRED_TOKEN: expected at least 16", "KINDRED_TOKEN=short");
  RunningServer server(run.flags());
  refused(run.run + " --port " + std::to_string(server.port()), 2,
          "give another --port, or --port 0 for any free one");
}

}  // namespace
}  // namespace kindred
