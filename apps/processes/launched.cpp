#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>       // defines: open
#include <signal.h>      // defines: sigprocmask
#include <sys/prctl.h>   // defines: prctl
#include <sys/socket.h>  // defines: socket, connect, sendmsg
#include <sys/un.h>      // defines: sockaddr_un
#include <unistd.h>      // defines: dup2, close, getpid

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace kindred {
namespace {

int& socket_to_launcher() {
  static int socket = -1;
  return socket;
}

bool send_packet(std::string_view text) {
  if (socket_to_launcher() < 0) return false;
  const std::size_t bytes = std::min(text.size(), longest_packet);
  ssize_t sent = -1;
  do {
    sent = ::send(socket_to_launcher(), text.data(), bytes, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// The launcher's answer: a packet of one byte, with the files that rank 0 gets.
struct LaunchedAnswer {
  bool came = false;
  int output = -1, error = -1;
};

LaunchedAnswer receive_answer(int socket) {
  LaunchedAnswer answer;
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = -1;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  answer.came = got == 1;
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(header))) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
      continue;
    std::array<int, 2> files{};
    std::memcpy(files.data(), CMSG_DATA(header), sizeof(files));
    answer.output = files[0];
    answer.error = files[1];
  }
  return answer;
}

// Who listens there; 0 if the system does not say.
int process_behind(int socket) {
  ucred listener{};
  socklen_t bytes = sizeof(listener);
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &listener, &bytes) == 0 ? listener.pid : 0;
}

// mpirun is started with some signals blocked (launcher.cpp), and nothing promises that it undoes this in its processes.
void let_signals_through() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
}

void move_file(int from, int to) {
  ::dup2(from, to);
  ::close(from);
}

// Splits off the first word.
std::string_view next_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<int> next_number(std::string_view& text) {
  const std::string_view word = next_word(text);
  int number = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), number);
  if (read.ec != std::errc{} || read.ptr != word.data() + word.size()) return std::nullopt;
  return number;
}

}  // namespace

bool is_launched() {
  const char* const path = std::getenv(launcher_socket);
  return socket_to_launcher() >= 0 || (path != nullptr && *path != '\0');
}

int rank_of_launched() {
  for (const char* const name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK"})
    if (const char* const rank = std::getenv(name)) return std::atoi(rank);
  fail(ExitCode::usage, "{} is set, and no mpirun has started this process; unset it", launcher_socket);
}

void silence_output() {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) move_file(nowhere, STDOUT_FILENO);
}

void join_launcher(int rank) {
  if (socket_to_launcher() >= 0) return;
  const std::string path = std::getenv(launcher_socket);
  ::unsetenv(launcher_socket);  // what this process starts is not launched
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  let_signals_through();
  // mpirun puts its processes in groups of their own, and a terminal may stop those that write from the background.
  std::signal(SIGTTOU, SIG_IGN);
  const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  check(socket >= 0 && path.size() < sizeof(address.sun_path), ExitCode::device, "{}: {}", path,
        system_message());
  std::memcpy(address.sun_path, path.data(), path.size());
  const bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  check(connected, ExitCode::lost, "{} is set, and the process that started this one is gone ({}); unset it",
        launcher_socket, system_message());
  socket_to_launcher() = socket;
  take_as_handed_on(::getppid());
  take_as_handed_on(process_behind(socket));
  send_packet(fmt::format("hello {} {}", rank, ::getpid()));
  const LaunchedAnswer answer = receive_answer(socket);
  check(answer.came, ExitCode::lost, "the process that started this one is gone");
  if (answer.output >= 0) {
    move_file(answer.output, STDOUT_FILENO);
    move_file(answer.error, STDERR_FILENO);
  } else {
    silence_output();
  }
}

bool tell_launcher_that_mpi_is_open() {
  return send_packet("open 0");
}

bool tell_launcher_of_coming_failure() {
  return send_packet("failing 0");
}

bool tell_launcher_of_failure(ExitCode code, const std::string& message) {
  return send_packet(fmt::format("failed {} {}", static_cast<int>(code), message));
}

bool tell_launcher_of_own_line(ExitCode code) {
  std::array<char, 7> packet{'w', 'r', 'o', 't', 'e', ' ', '0'};
  static_assert(static_cast<int>(ExitCode::lost) < 10, "a code has one digit");
  packet.back() = static_cast<char>('0' + static_cast<int>(code));
  return send_packet({packet.data(), packet.size()});
}

bool tell_launcher_of_work_done(int code) {
  return send_packet(fmt::format("done {}", code));
}

bool tell_launcher_of_end(int code) {
  return send_packet(fmt::format("ended {}", code));
}

std::optional<LaunchedMessage> read_launched_message(std::string_view packet) {
  const std::string_view kind = next_word(packet);
  const std::optional<int> number = next_number(packet);
  if (!number) return std::nullopt;
  if (kind == "open") return LaunchedMessage{LaunchedMessage::Kind::open, 0, 0, {}};
  if (kind == "failing") return LaunchedMessage{LaunchedMessage::Kind::failing, 0, 0, {}};
  if (kind == "failed") return LaunchedMessage{LaunchedMessage::Kind::failed, *number, 0, std::string(packet)};
  if (kind == "wrote") return LaunchedMessage{LaunchedMessage::Kind::wrote, *number, 0, {}};
  if (kind == "done") return LaunchedMessage{LaunchedMessage::Kind::done, *number, 0, {}};
  if (kind == "ended") return LaunchedMessage{LaunchedMessage::Kind::ended, *number, 0, {}};
  if (kind != "hello") return std::nullopt;
  const std::optional<int> process = next_number(packet);
  if (!process || *process <= 0 || *number < 0) return std::nullopt;
  return LaunchedMessage{LaunchedMessage::Kind::hello, *number, *process, {}};
}

}  // namespace kindred
