// The launcher's end of the socket that its processes come to (launched.h).
#pragma once

#include <filesystem>
#include <string>
#include <utility>

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

// A socket at this path for so many processes. Throws Error(device).
OpenFile listen_at(const std::string& path, int processes);

// A process that has come; not open if there is none.
OpenFile accept_from(const OpenFile& listener);

// Answers a process that has said hello. Rank 0 gets this process's standard output and error.
void answer_hello(const OpenFile& connection, bool is_first);

// The program that made this socket is dead.
bool nobody_listens_at(const std::filesystem::path& socket);

}  // namespace kindred
