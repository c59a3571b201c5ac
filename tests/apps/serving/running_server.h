// The built `serve`, and a client that sends exactly the bytes that it is given.
#pragma once

#include <sys/types.h>  // defines: pid_t

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace kindred {

// Returns true if the build has its module with cpp-httplib; otherwise prints a line.
bool can_serve();

class RunningServer {
 public:
  // Starts it on a free port and waits until it serves. `environment`: "NAME=value", before the program.
  explicit RunningServer(const std::string& flags, const std::string& environment = "");
  ~RunningServer();  // kills it if it still runs
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  int port() const { return port_; }
  const std::string& said() const { return said_; }  // standard output and error
  void signal(int number) const;
  // Waits for its end. Returns the exit code; 128 + signal if it was killed.
  int wait();

 private:
  bool read_more();  // of what it says; false at the end

  pid_t process_ = -1;
  int output_ = -1, port_ = 0;
  std::string said_;
};

struct HttpAnswer {
  int status = 0;  // 0: there was none
  std::string head{}, body{};

  nlohmann::json json() const;
  std::string header(const std::string& name) const;  // "" if there is none
};

// A connection of its own. Without assertions: to be used in threads.
class LocalClient {
 public:
  explicit LocalClient(int port);
  ~LocalClient();
  LocalClient(const LocalClient&) = delete;
  LocalClient& operator=(const LocalClient&) = delete;
  bool send(const std::string& bytes) const;  // false: the server takes no more
  void end_sending() const;
  HttpAnswer answer() const;  // waits until the server closes the connection

 private:
  int socket_;
};

// The answer to these bytes.
HttpAnswer ask(int port, const std::string& request);
// "GET <path>" or, with a body, "POST <path>", with the headers that a program sends. `more`: lines that end with "\r\n".
std::string get_of(const std::string& path, const std::string& more = "");
std::string post_of(const std::string& path, const std::string& body, const std::string& more = "");

}  // namespace kindred
