#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/launch_outcome.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/launcher.h>
#include <kindred/apps/processes/mpirun.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>       // defines: open, fcntl
#include <poll.h>        // defines: poll
#include <signal.h>      // defines: kill, sigprocmask
#include <sys/prctl.h>   // defines: prctl
#include <sys/socket.h>  // defines: socket, bind, accept4, sendmsg
#include <sys/un.h>      // defines: sockaddr_un
#include <sys/wait.h>    // defines: waitpid
#include <unistd.h>      // defines: fork, execve, pipe2

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr int look_every = 50;               // ms: at signals, and whether mpirun has ended
constexpr double to_end_by_itself = 20;      // seconds that mpirun has to end the others after one was lost
constexpr double to_end_when_told = 5;       // and after it was asked to
constexpr std::size_t most_words = 1 << 16;  // bytes of what mpirun writes that are kept

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
  void close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
  }

 private:
  int file_;
};

// A folder that only this user can enter, for the socket and for mpirun's files. A socket's path must be short, so a long
// TMPDIR is not used.
class LaunchFolder {
 public:
  LaunchFolder() {
    const char* const asked = std::getenv("TMPDIR");
    constexpr std::size_t longest = 60;
    const std::string parent =
        asked != nullptr && *asked == '/' && std::strlen(asked) <= longest ? asked : "/tmp";
    path_ = parent + "/kindred-XXXXXX";
    check(::mkdtemp(path_.data()) != nullptr, ExitCode::io,
          "{}: {}; set TMPDIR to a folder that can be written to", parent, system_message());
  }
  ~LaunchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  LaunchFolder(const LaunchFolder&) = delete;
  LaunchFolder& operator=(const LaunchFolder&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

OpenFile listen_at(const std::string& path, int processes) {
  OpenFile listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  const bool listens =
      listener.is_open() &&
      ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(listener.get(), processes) == 0;
  check(listens, ExitCode::device, "a socket for the processes cannot be made: {}", system_message());
  return listener;
}

// Answers a process that has said hello. Rank 0 gets this process's standard output and error.
void answer_hello(int connection, bool is_first) {
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
  ::sendmsg(connection, &message, MSG_NOSIGNAL);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// One process of the run.
struct LaunchedProcess {
  OpenFile connection;
  int rank = -1;  // until it has said hello
  pid_t process = 0;
};

class LaunchedRun {
 public:
  explicit LaunchedRun(const MpirunPlan& plan) : listener_(listen_at(plan.socket, plan.processes)) {
    seen_.processes = plan.processes;
    seen_.host = host_name();
    seen_.ended.resize(static_cast<std::size_t>(plan.processes));
    seen_.joined.resize(static_cast<std::size_t>(plan.processes));
    start(mpirun_start(plan, environment_of_this_process()));
  }

  LaunchOutcome wait() {
    while (!has_ended()) {
      pass_on_signal();
      end_what_does_not();
      look(look_every);
    }
    // What was sent before the end is still there to be read.
    for (int i = 0; i < 20 && look(0); ++i) {
    }
    end_leftovers();
    return launch_outcome(seen_);
  }

 private:
  static std::vector<std::string> environment_of_this_process() {
    std::vector<std::string> entries;
    for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
    return entries;
  }

  void start(MpirunStart how) {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC) == 0, ExitCode::device, "a pipe to mpirun cannot be made: {}",
          system_message());
    words_ = OpenFile(ends[0]);
    OpenFile into(ends[1]);
    ::fcntl(words_.get(), F_SETFL, O_NONBLOCK);
    const OpenFile nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::vector<char*> command = pointers_to(how.command), environment = pointers_to(how.environment);
    mpirun_ = ::fork();
    check(mpirun_ >= 0, ExitCode::device, Cause::out_of_threads, "mpirun cannot be started: {}",
          system_message());
    if (mpirun_ > 0) return;
    // In a group of its own, so that Ctrl-C reaches the launcher alone. SIGTERM makes mpirun end its processes.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_DFL);  // run_main() ignores them
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(into.get(), STDOUT_FILENO);
    ::dup2(into.get(), STDERR_FILENO);
    ::execve(command[0], command.data(), environment.data());
    constexpr int cannot_execute = 126;
    ::_exit(cannot_execute);
  }

  bool has_ended() {
    if (mpirun_ <= 0) return true;
    const pid_t ended = ::waitpid(mpirun_, &seen_.status, WNOHANG);
    if (ended == 0) return false;
    mpirun_ = 0;
    return true;
  }

  // Reads what has come. Returns true if something had.
  bool look(int for_ms) {
    std::vector<pollfd> files{{listener_.get(), POLLIN, 0},
                              {words_.get(), POLLIN, 0}};  // poll skips those below 0
    for (const auto& process : processes_) files.push_back({process->connection.get(), POLLIN, 0});
    if (::poll(files.data(), files.size(), for_ms) <= 0) return false;
    bool something = false;
    for (std::size_t i = 2; i < files.size(); ++i)
      if (files[i].revents != 0) something |= read_from(*processes_[i - 2]);
    if (files[1].revents != 0) something |= read_words();
    if (files[0].revents != 0) something |= accept();
    return something;
  }

  bool accept() {
    OpenFile connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.is_open()) return false;
    processes_.push_back(std::make_unique<LaunchedProcess>(LaunchedProcess{std::move(connection), -1, 0}));
    return true;
  }

  bool read_words() {
    std::array<char, 4096> buffer;
    const ssize_t bytes = ::read(words_.get(), buffer.data(), buffer.size());
    if (bytes == 0) words_.close();
    if (bytes <= 0) return false;
    if (seen_.words.size() < most_words) seen_.words.append(buffer.data(), static_cast<std::size_t>(bytes));
    return true;
  }

  bool read_from(LaunchedProcess& from) {
    std::array<char, longest_packet> buffer;
    const ssize_t bytes = ::recv(from.connection.get(), buffer.data(), buffer.size(), 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (bytes <= 0) {
      lose(from);
      return true;
    }
    const auto message = read_launched_message({buffer.data(), static_cast<std::size_t>(bytes)});
    if (!message) return true;
    switch (message->kind) {
      case LaunchedMessage::Kind::hello:
        greet(from, *message);
        break;
      case LaunchedMessage::Kind::failed:
        if (!seen_.failure) seen_.failure = message;
        trouble_since_ = trouble_since_ > 0 ? trouble_since_ : now_seconds();
        break;
      case LaunchedMessage::Kind::ended:
        if (from.rank >= 0) seen_.ended[static_cast<std::size_t>(from.rank)] = message->number;
        break;
    }
    return true;
  }

  void greet(LaunchedProcess& process, const LaunchedMessage& hello) {
    if (hello.number >= seen_.processes) return;
    process.rank = hello.number;
    process.process = hello.process;
    seen_.joined[static_cast<std::size_t>(process.rank)] = true;
    answer_hello(process.connection.get(), process.rank == 0);
    if (passed_on_ != 0) ::kill(process.process, passed_on_);
  }

  void lose(LaunchedProcess& process) {
    process.connection.close();
    if (process.rank < 0 || seen_.ended[static_cast<std::size_t>(process.rank)]) return;
    if (!seen_.first_gone) seen_.first_gone = process.rank;
    trouble_since_ = trouble_since_ > 0 ? trouble_since_ : now_seconds();
  }

  // The processes agree among themselves on the step after which they stop. A second signal ends this process at once
  // (interrupt.h), and the others with it.
  void pass_on_signal() {
    if (passed_on_ != 0 || interrupt_signal() == 0) return;
    passed_on_ = interrupt_signal();
    for (const auto& process : processes_)
      if (process->connection.is_open() && process->process > 0) ::kill(process->process, passed_on_);
  }

  // After one process was lost mpirun ends the others. If it does not, this does.
  void end_what_does_not() {
    if (trouble_since_ <= 0) return;
    const double passed = now_seconds() - trouble_since_;
    if (passed > to_end_by_itself && !told_to_end_) {
      ::kill(mpirun_, SIGTERM);
      told_to_end_ = true;
    }
    if (passed > to_end_by_itself + to_end_when_told) ::kill(mpirun_, SIGKILL);
  }

  // Processes whose connection is open are there, so their numbers are still theirs.
  void end_leftovers() {
    for (const auto& process : processes_)
      if (process->connection.is_open() && process->process > 0 && process->rank >= 0 &&
          !seen_.ended[static_cast<std::size_t>(process->rank)])
        ::kill(process->process, SIGKILL);
  }

  OpenFile listener_, words_;
  std::vector<std::unique_ptr<LaunchedProcess>> processes_;
  LaunchSeen seen_;
  pid_t mpirun_ = 0;
  int passed_on_ = 0;         // the signal
  double trouble_since_ = 0;  // 0: there is none
  bool told_to_end_ = false;
};

}  // namespace

int launch_processes(const ProcessesAsked& asked) {
  const auto mpirun = find_mpirun(std::getenv("PATH"));
  const char* const flag = asked.gpus ? "--gpus" : "--processes";
  check(mpirun.has_value(), ExitCode::device,
        "{} {}: there is no mpirun in PATH; install Open MPI (Debian, Ubuntu: apt-get install openmpi-bin)",
        flag, asked_size(asked));
  watch_for_interrupts();
  const LaunchFolder folder;
  MpirunPlan plan;
  plan.mpirun = *mpirun;
  plan.folder = folder.path();
  plan.socket = folder / "launcher";
  plan.processes = static_cast<int>(asked_size(asked));
  plan.cores = usable_cores();
  plan.is_root = ::geteuid() == 0;
  plan.program = command_again(started_as());
  const LaunchOutcome outcome = LaunchedRun(plan).wait();
  if (!outcome.line.empty()) throw Error(static_cast<ExitCode>(outcome.code), outcome.line);
  return outcome.code;
}

}  // namespace kindred
