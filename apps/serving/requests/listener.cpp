#include <kindred/apps/console/progress.h>
#include <kindred/apps/serving/requests/listener.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <arpa/inet.h>   // defines: inet_ntop
#include <netdb.h>       // defines: getaddrinfo
#include <netinet/in.h>  // defines: sockaddr_in
#include <poll.h>        // defines: poll
#include <sys/socket.h>  // defines: socket, bind, listen, accept4

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

constexpr int acceptor_patience = 50;  // milliseconds until it is looked whether the server stops

struct FreeAddresses {
  void operator()(addrinfo* addresses) const { ::freeaddrinfo(addresses); }
};

std::unique_ptr<addrinfo, FreeAddresses> addresses_of(const std::string& host, int port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  check(code == 0, ExitCode::usage, "--host {}: {}; give 127.0.0.1, or an address or name of this machine",
        one_line(host), ::gai_strerror(code));
  return std::unique_ptr<addrinfo, FreeAddresses>(found);
}

bool is_loopback_address(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return ntohl(four.sin_addr.s_addr) >> 24 == 127;
  }
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof(six));
  return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

int port_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return ntohs(four.sin_port);
  }
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof(six));
  return ntohs(six.sin6_port);
}

std::string client_address(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    ::inet_ntop(AF_INET, &four.sin_addr, text.data(), text.size());
  } else {
    sockaddr_in6 six{};
    std::memcpy(&six, &address, sizeof(six));
    ::inet_ntop(AF_INET6, &six.sin6_addr, text.data(), text.size());
  }
  return text.data();
}

[[noreturn]] void fail_to_bind(const std::string& host, int port) {
  const int reason = errno;
  if (reason == EADDRINUSE)
    fail(ExitCode::usage,
         "--port {}: another program has this port on {}; give another --port, or --port 0 for any free one",
         port, host);
  if (reason == EACCES)
    fail(ExitCode::usage,
         "--port {}: ports below 1024 need privileges; give one from 1024 on, or --port 0 for any free one",
         port);
  if (reason == EADDRNOTAVAIL)
    fail(ExitCode::usage,
         "--host {}: this machine has no such address; give 127.0.0.1, or an address or name of this machine",
         host);
  fail(ExitCode::device, "no socket on {}, port {}: {}", host, port, std::generic_category().message(reason));
}

}  // namespace

Listener::Listener(const std::string& host, int port) : host_(one_line(host)) {
  bind_to(host, port);
}

void Listener::finish() {
  stop();
  if (acceptor_.joinable()) acceptor_.join();
}

// Without SO_REUSEPORT, with which two servers would share the clients of a port.
void Listener::bind_to(const std::string& host, int port) {
  const auto addresses = addresses_of(host, port);
  const addrinfo& first = *addresses;
  socket_ = OpenSocket(::socket(first.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_.is_open()) fail_to_bind(host_, port);
  const int yes = 1;  // connections of an earlier server that are not quite over do not keep the port
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(socket_.get(), first.ai_addr, first.ai_addrlen) != 0) fail_to_bind(host_, port);
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) fail_to_bind(host_, port);
  port_ = port_of(bound);
  loopback_ = is_loopback_address(bound);
}

std::string Listener::url() const {
  const bool six = host_.find(':') != std::string::npos && !host_.starts_with('[');
  return fmt::format("http://{}{}{}:{}/", six ? "[" : "", host_, six ? "]" : "", port_);
}

void Listener::start(std::size_t most_connections, Serve serve, Serve refuse) {
  // Of two programs that have bound a port of the same address, the system lets one listen.
  if (::listen(socket_.get(), SOMAXCONN) != 0) fail_to_bind(host_, port_);
  accepting_ = true;
  try {
    acceptor_ = std::thread([this, most_connections, serve = std::move(serve), refuse = std::move(refuse)] {
      accept_all(most_connections, serve, refuse);
    });
  } catch (const std::system_error&) {
    accepting_ = false;
    fail(ExitCode::device, Cause::out_of_threads, "the system starts no thread for connections");
  }
}

void Listener::stop() {
  stopping_ = true;
}

void Listener::accept_all(std::size_t most_connections, const Serve& serve, const Serve& refuse) {
  while (!stopping_) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, acceptor_patience) > 0) {
      try {
        accept_one(most_connections, serve, refuse);
      } catch (const std::exception&) {
        // No memory for this client: it sees that the connection ends, and others go on.
      }
    }
    join_done(false);
  }
  socket_ = OpenSocket();  // whoever comes now is refused by the system
  join_done(true);
  accepting_ = false;
}

void Listener::accept_one(std::size_t most_connections, const Serve& serve, const Serve& refuse) {
  sockaddr_storage from{};
  socklen_t size = sizeof(from);
  OpenSocket client(
      ::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.is_open()) {
    // Too many open files: others must close theirs first, and until then poll() would return at once.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      std::this_thread::sleep_for(std::chrono::milliseconds(acceptor_patience));
    return;
  }
  const std::string address = client_address(from);
  if (connections_ >= most_connections) {
    refuse(std::move(client), address);
    return;
  }
  const auto held = std::make_shared<OpenSocket>(std::move(client));  // a thread's function must be copyable
  Served& served = served_.emplace_back();
  ++connections_;
  try {
    served.thread = std::thread([this, &served, &serve, address, held] {
      serve(std::move(*held), address);
      --connections_;
      served.done = true;
    });
  } catch (const std::exception&) {  // the system starts no more threads, or has no memory for one
    --connections_;
    served_.pop_back();
    refuse(std::move(*held), address);
  }
}

void Listener::join_done(bool all) {
  for (auto at = served_.begin(); at != served_.end();) {
    if (!all && !at->done) {
      ++at;
      continue;
    }
    at->thread.join();
    at = served_.erase(at);
  }
}

}  // namespace kindred
