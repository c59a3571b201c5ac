// A connection whose other end the test holds: heads of every kind, ends, and waits that must end.
#include "../../../errors.h"
#include "../running_server.h"

#include <kindred/apps/serving/requests/connection.h>
#include <kindred/apps/serving/requests/listener.h>

#include <doctest/doctest.h>

#include <fcntl.h>       // defines: fcntl, O_NONBLOCK
#include <sys/socket.h>  // defines: socketpair
#include <unistd.h>      // defines: write, close

#include <array>
#include <new>
#include <string>
#include <thread>

namespace kindred {
namespace {

using namespace std::chrono_literals;

struct Pair {
  OpenSocket server, client;
  Pair() {
    std::array<int, 2> sockets{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()) == 0);
    server = OpenSocket(sockets[0]);
    client = OpenSocket(sockets[1]);
    ::fcntl(server.get(), F_SETFL, O_NONBLOCK);
  }
  void send(const std::string& text) const {
    REQUIRE(::write(client.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
};

// For waits that must end. Where bytes do come, a busy machine must have time to bring them.
ConnectionLimits short_limits() {
  return {.head_bytes = 200, .head = 150ms, .body = 150ms, .response = 150ms, .farewell = 50ms, .grace = 20ms};
}

ConnectionLimits long_limits() {
  return {.head_bytes = 200, .head = 60s, .body = 60s, .response = 60s, .farewell = 50ms, .grace = 20ms};
}

std::string read_all(Connection& connection, std::size_t bytes) {
  std::string text;
  std::array<char, 7> buffer;
  while (text.size() < bytes) {
    const auto got = connection.read(buffer.data(), std::min(buffer.size(), bytes - text.size()));
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

TEST_CASE("serving: a head is read up to its end, and given again with what follows") {
  const std::atomic<bool> stopping = false;
  const std::string request = "POST / HTTP/1.1\r\nHost: x\r\n\r\n", body = "the body\r\n\r\nof it";
  for (std::size_t cut = 1; cut <= request.size() + body.size(); ++cut) {
    Pair pair;
    Connection connection(std::move(pair.server), long_limits(), stopping);
    std::thread sender([&] {
      pair.send((request + body).substr(0, cut));
      std::this_thread::yield();
      pair.send((request + body).substr(cut));
    });
    CHECK(connection.read_head() == Connection::Head::complete);
    sender.join();
    CHECK(read_all(connection, request.size() + body.size()) == request + body);
    CHECK(connection.received() == request.size() + body.size());
    CHECK(!connection.was_late());
  }
}

TEST_CASE("serving: heads that are too long, never come, or end early") {
  const std::atomic<bool> stopping = false;
  const auto head_of = [&](const std::string& sent, bool closes,
                           const ConnectionLimits& limits = long_limits()) {
    Pair now;
    Connection connection(std::move(now.server), limits, stopping);
    now.send(sent);
    if (closes) now.client = OpenSocket();
    return connection.read_head();
  };
  CHECK(head_of("GET / HTTP/1.1\r\n" + std::string(300, 'h'), false) == Connection::Head::too_long);
  CHECK(head_of("GET / HTTP/1.1\r\nX: " + std::string(300, 'h') + "\r\n\r\n", false) ==
        Connection::Head::too_long);
  CHECK(head_of("GET / HTTP/1.1\r\nX: " + std::string(150, 'h') + "\r\n\r\n" + std::string(300, 'b'), false) ==
        Connection::Head::complete);
  CHECK(head_of("GET / HTTP/1.1\r\n", false, short_limits()) == Connection::Head::late);
  CHECK(head_of("GET / HTTP/1.1\r\n", true) == Connection::Head::closed);
  CHECK(head_of("", true) == Connection::Head::closed);
}

TEST_CASE("serving: a client that trickles has no more time than any other") {
  const std::atomic<bool> stopping = false;
  Pair pair;
  Connection connection(std::move(pair.server), short_limits(), stopping);
  std::atomic<bool> over = false;
  std::thread sender([&] {
    for (int i = 0; i < 190 && !over; ++i) {
      if (::send(pair.client.get(), "h", 1, MSG_NOSIGNAL) != 1) return;
      std::this_thread::sleep_for(5ms);
    }
  });
  CHECK(connection.read_head() == Connection::Head::late);
  over = true;
  sender.join();
}

TEST_CASE("serving: a client that takes nothing, and a server that stops, end a wait") {
  std::atomic<bool> stopping = false;
  {
    Pair pair;
    Connection connection(std::move(pair.server), short_limits(), stopping);
    const std::string much(std::size_t{64} << 20, 'x');
    CHECK(!connection.write(much));
    CHECK(connection.sent() < much.size());
  }
  Pair pair;
  ConnectionLimits patient = short_limits();
  patient.head = 600s;
  Connection connection(std::move(pair.server), patient, stopping);
  stopping = true;
  CHECK(connection.read_head() == Connection::Head::late);
}

TEST_CASE("serving: a client that leaves is noticed, also while its bytes are not read") {
  const std::atomic<bool> stopping = false;
  for (const bool closes : {false, true}) {
    Pair pair;
    const Connection connection(std::move(pair.server), long_limits(), stopping);
    CHECK(!connection.has_client_left());
    pair.send("some bytes");
    CHECK(!connection.has_client_left());
    if (closes)
      pair.client = OpenSocket();
    else
      ::shutdown(pair.client.get(), SHUT_WR);
    CHECK(connection.has_client_left());
  }
}

TEST_CASE("serving: memory that is missing for one client ends its connection alone") {
  Listener listener("127.0.0.1", 0);
  std::atomic<int> came = 0;
  listener.start(
      0, [](OpenSocket, const std::string&) {},
      [&](OpenSocket socket, const std::string&) {
        if (++came == 1) throw std::bad_alloc();
        REQUIRE(::send(socket.get(), "HTTP/1.1 503 No\r\n\r\n", 19, MSG_NOSIGNAL) == 19);
      });
  CHECK(LocalClient(listener.port()).answer().status == 0);
  CHECK(LocalClient(listener.port()).answer().status == 503);
  CHECK(came == 2);
}

TEST_CASE("serving: a port that is taken, and a host that is none of this machine, are told with what to do") {
  Listener first("127.0.0.1", 0);
  first.start(
      1, [](OpenSocket, const std::string&) {}, [](OpenSocket, const std::string&) {});
  CHECK(first.port() > 0);
  CHECK(first.is_loopback());
  CHECK(first.url() == "http://127.0.0.1:" + std::to_string(first.port()) + "/");
  const auto second = [&] {
    Listener other("127.0.0.1", first.port());
    other.start(
        1, [](OpenSocket, const std::string&) {}, [](OpenSocket, const std::string&) {});
  };
  CHECK(test::code_of(second) == ExitCode::usage);
  CHECK(test::error_of(second) ==
        "--port " + std::to_string(first.port()) +
            ": another program has this port on 127.0.0.1; give another --port, or --port 0 for "
            "any free one");
  CHECK(test::code_of([] { Listener("192.0.2.1", 0); }) == ExitCode::usage);  // kept for documents, RFC 5737
  CHECK(test::code_of([] { Listener("no.such.host.invalid", 0); }) == ExitCode::usage);
  CHECK(!Listener("0.0.0.0", 0).is_loopback());
}

}  // namespace
}  // namespace kindred
