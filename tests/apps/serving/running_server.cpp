#include "running_server.h"
#include "../../places.h"
#include "../programs.h"

#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <arpa/inet.h>   // defines: htonl
#include <netinet/in.h>  // defines: sockaddr_in
#include <signal.h>      // defines: kill
#include <spawn.h>       // defines: posix_spawn
#include <sys/socket.h>  // defines: socket, connect, send, recv
#include <sys/wait.h>    // defines: waitpid
#include <unistd.h>      // defines: pipe, read, close

#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

extern char** environ;

namespace kindred {

bool can_serve() {
  if (!says(run_program("serve", "none"), "cpp-httplib")) return true;
  MESSAGE("skipped: built without cpp-httplib");
  std::puts("skipped: built without cpp-httplib");
  return false;
}

RunningServer::RunningServer(const std::string& flags, const std::string& environment) {
  const std::string command = fmt::format(
      "exec env CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive {} {}/serve {} --port 0 2>&1",
      environment, apps_dir(), flags);
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::string shell = "sh", option = "-c", text = command;
  std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
  REQUIRE(::posix_spawn(&process_, "/bin/sh", &actions, nullptr, arguments.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  output_ = ends[0];
  const std::string line = "serving on http://127.0.0.1:";
  while (said_.find(line) == std::string::npos || !said_.ends_with('\n')) {
    const bool runs = read_more();
    REQUIRE_MESSAGE(runs, said_);
  }
  port_ = std::atoi(said_.c_str() + said_.find(line) + line.size());
}

RunningServer::~RunningServer() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::close(output_);
}

bool RunningServer::read_more() {
  std::array<char, 4096> buffer;
  const ssize_t got = ::read(output_, buffer.data(), buffer.size());
  if (got <= 0) return false;
  said_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

void RunningServer::signal(int number) const {
  ::kill(process_, number);
}

int RunningServer::wait() {
  while (read_more()) {
  }
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

nlohmann::json HttpAnswer::json() const {
  return parse_json(body);
}

std::string HttpAnswer::header(const std::string& name) const {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

LocalClient::LocalClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Whether it worked, send() and answer() say.
  static_cast<void>(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
}

LocalClient::~LocalClient() {
  ::close(socket_);
}

bool LocalClient::send(const std::string& bytes) const {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += static_cast<std::size_t>(now);
  }
  return true;
}

void LocalClient::end_sending() const {
  ::shutdown(socket_, SHUT_WR);
}

HttpAnswer LocalClient::answer() const {
  std::string text;
  std::array<char, 16384> buffer;
  for (ssize_t got; (got = ::recv(socket_, buffer.data(), buffer.size(), 0)) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  HttpAnswer answer;
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || !text.starts_with("HTTP/1.1 ")) return answer;
  answer.status = std::atoi(text.c_str() + 9);
  answer.head = text.substr(0, end + 2);
  answer.body = text.substr(end + 4);
  return answer;
}

HttpAnswer ask(int port, const std::string& request) {
  const LocalClient client(port);
  client.send(request);  // the server may answer before it has everything
  return client.answer();
}

std::string get_of(const std::string& path, const std::string& more) {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

std::string post_of(const std::string& path, const std::string& body, const std::string& more) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n{}\r\n{}", path, body.size(),
                     more, body);
}

}  // namespace kindred
