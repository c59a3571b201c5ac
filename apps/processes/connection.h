// The launcher's end of the socket that its processes come to (launched.h).
#pragma once

#include <sys/types.h>  // defines: pid_t

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class OpenFile {
 public:
  explicit OpenFile(int file = -1) : file_(file) {}
  OpenFile(OpenFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~OpenFile() { close(); }
  int get() const { return file_; }
  bool is_open() const { return file_ >= 0; }
  void close();

 private:
  int file_;
};

// One process of the run, as the launcher knows it.
struct LaunchedProcess {
  OpenFile connection;
  int rank = -1;  // until it has said hello
  pid_t process = 0;

  bool is_there() const { return rank >= 0 && connection.is_open(); }
};
using LaunchedProcesses = std::vector<std::unique_ptr<LaunchedProcess>>;

// Of those that are there: the ranks for which this is true, in order; and the numbers of all.
std::vector<int> ranks_where(const LaunchedProcesses& processes,
                             const std::function<bool(const LaunchedProcess&)>& condition);
std::vector<pid_t> numbers_of(const LaunchedProcesses& processes);
void signal_all(const LaunchedProcesses& processes, int signal);

// A socket at this path for so many processes. Throws Error(device).
OpenFile listen_at(const std::string& path, int processes);

// A process that has come; not open if there is none.
OpenFile accept_from(const OpenFile& listener);

// Answers a process that has said hello. Rank 0 gets this process's standard output and error.
void answer_hello(const OpenFile& connection, bool is_first);

// The program that made this socket is dead.
bool nobody_listens_at(const std::filesystem::path& socket);

}  // namespace kindred
