#include <kindred/apps/processes/connection.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <signal.h>      // defines: kill
#include <sys/socket.h>  // defines: socket, bind, accept4, sendmsg
#include <sys/un.h>      // defines: sockaddr_un
#include <unistd.h>      // defines: close

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace kindred {
namespace {

OpenFile new_socket() {
  return OpenFile(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  return address;
}

}  // namespace

void OpenFile::close() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

std::vector<int> ranks_where(const LaunchedProcesses& processes,
                             const std::function<bool(const LaunchedProcess&)>& condition) {
  std::vector<int> ranks;
  for (const auto& process : processes)
    if (process->is_there() && condition(*process)) ranks.push_back(process->rank);
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

std::vector<pid_t> numbers_of(const LaunchedProcesses& processes) {
  std::vector<pid_t> numbers;
  for (const auto& process : processes)
    if (process->is_there()) numbers.push_back(process->process);
  return numbers;
}

void signal_all(const LaunchedProcesses& processes, int signal) {
  for (const pid_t process : numbers_of(processes)) ::kill(process, signal);
}

OpenFile listen_at(const std::string& path, int processes) {
  OpenFile listener = new_socket();
  const sockaddr_un address = address_of(path);
  const bool listens =
      listener.is_open() &&
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(listener.get(), processes) == 0;
  check(listens, ExitCode::device, "a socket for the processes cannot be made: {}", system_message());
  return listener;
}

OpenFile accept_from(const OpenFile& listener) {
  return OpenFile(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

void answer_hello(const OpenFile& connection, bool is_first) {
  char byte = 1;
  iovec data{&byte, 1};
  const std::array<int, 2> files{STDOUT_FILENO, STDERR_FILENO};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(files))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (is_first) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(files));
    std::memcpy(CMSG_DATA(header), files.data(), sizeof(files));
  }
  ::sendmsg(connection.get(), &message, MSG_NOSIGNAL);
}

bool nobody_listens_at(const std::filesystem::path& socket) {
  const OpenFile caller = new_socket();
  const sockaddr_un address = address_of(socket);
  return caller.is_open() &&
         ::connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace kindred
