// The socket that clients come to, and a thread for each of them.
#pragma once

#include <kindred/apps/serving/requests/connection.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

namespace kindred {

class Listener {
 public:
  // Takes the address, so that a wrong one is told at once; clients are refused until start(). `host` is a name or an
  // address, and port 0 any that is free. Throws Error(usage), which says what to do: if another program has the port, if it
  // needs privileges, if the host is none of this machine.
  Listener(const std::string& host, int port);
  ~Listener() { finish(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  std::string url() const;                        // "http://127.0.0.1:8020/"
  bool is_loopback() const { return loopback_; }  // only this machine can come

  // A connection in a thread of its own; `address` is that of the client. It must not throw.
  using Serve = std::function<void(OpenSocket socket, const std::string& address)>;
  // From now on clients are served, at most so many at once. `refuse` is called for the others, in the thread that accepts; it
  // must not wait. If memory is missing for a client, only its connection ends. Throws Error(device) if there is no thread.
  void start(std::size_t most_connections, Serve serve, Serve refuse);
  // Accepts no more.
  void stop();
  // The same, and waits for the connections.
  void finish();
  const std::atomic<bool>& is_stopping() const { return stopping_; }
  // stop() was called, and no connection is left.
  bool is_over() const { return stopping_ && !accepting_ && connections_ == 0; }
  std::size_t connections() const { return connections_; }

 private:
  struct Served {
    std::thread thread{};
    std::atomic<bool> done = false;
  };

  void bind_to(const std::string& host, int port);
  void accept_all(std::size_t most_connections, const Serve& serve, const Serve& refuse);
  void accept_one(std::size_t most_connections, const Serve& serve, const Serve& refuse);
  void join_done(bool all);

  std::string host_;
  int port_ = 0;
  bool loopback_ = false;
  OpenSocket socket_{};
  std::thread acceptor_{};
  std::list<Served> served_{};  // of the accepting thread
  std::atomic<bool> stopping_ = false, accepting_ = false;
  std::atomic<std::size_t> connections_ = 0;
};

}  // namespace kindred
