#include <fcntl.h>  // defines: O_CLOEXEC, fcntl
#include <fmt/core.h>
#include <kindred/data/files/command.h>
#include <kindred/engine/files/system_message.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/engine/trimmed.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>  // defines: pipe2, environ

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace kindred {
namespace {

using CommandClock = std::chrono::steady_clock;

constexpr std::size_t kept_of_errors = 4096;  // bytes, from the end
constexpr int milliseconds_between_looks = 100;
constexpr std::chrono::milliseconds time_to_end_well{1000};

struct CommandPipe {
  int read = -1, write = -1;

  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read = ends[0];
    write = ends[1];
    return true;
  }
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  ~CommandPipe() {
    close_end(read);
    close_end(write);
  }
};

// Attributes and files of a process that posix_spawn() starts. Not fork(): that would copy the tables of this program's memory,
// and of memory that a network card knows it would leave the pages to the wrong process.
class Spawning {
 public:
  // In the process group of that number, or as the first of a new one if it is 0.
  explicit Spawning(pid_t group) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setpgroup(&attributes_, group);
    // Signals that this program handles or ignores do to a command what they usually do: SIGPIPE ends it when nobody reads.
    sigset_t usual;
    sigfillset(&usual);
    ::posix_spawnattr_setsigdefault(&attributes_, &usual);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    block_signals(false);
  }
  ~Spawning() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&files_);
  }
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;

  void block_signals(bool all) {
    sigset_t blocked;
    all ? sigfillset(&blocked) : sigemptyset(&blocked);
    ::posix_spawnattr_setsigmask(&attributes_, &blocked);
  }
  void give(int file, int as) { ::posix_spawn_file_actions_adddup2(&files_, file, as); }
  void give_nothing(int as) { ::posix_spawn_file_actions_addopen(&files_, as, "/dev/null", O_RDWR, 0); }
  // Starts `sh -c text`. Returns 0, or the number of the system's error.
  int start(const std::string& text, pid_t& process) const {
    std::string shell = "sh", option = "-c", command = text;
    char* const arguments[] = {shell.data(), option.data(), command.data(), nullptr};
    return ::posix_spawn(&process, "/bin/sh", &files_, &attributes_, arguments, environ);
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

void wait_for_end_of(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
}

// The first process of a group. It ends the group by SIGKILL when this program is gone, however that happened: nothing is
// ever written to the pipe that it reads, and the system closes the other end. Only SIGKILL ends the watcher.
class GroupWatcher {
 public:
  int start() {
    if (!life_.open()) return errno;
    Spawning watcher(0);
    watcher.block_signals(true);
    watcher.give(life_.read, STDIN_FILENO);
    watcher.give_nothing(STDOUT_FILENO);
    watcher.give_nothing(STDERR_FILENO);
    pid_t process = 0;
    const int error = watcher.start("read nothing; kill -KILL 0", process);
    if (error == 0) process_ = process;
    CommandPipe::close_end(life_.read);
    return error;
  }
  pid_t group() const { return process_; }

  GroupWatcher() = default;
  GroupWatcher(const GroupWatcher&) = delete;
  GroupWatcher& operator=(const GroupWatcher&) = delete;
  ~GroupWatcher() {
    if (process_ == 0) return;
    ::kill(process_,
           SIGKILL);  // alone: what a command leaves in the background when it has ended is its own matter
    wait_for_end_of(process_);
  }

 private:
  CommandPipe life_;
  pid_t process_ = 0;
};

// A running `sh -c command`. It is ended with this object, if it was not waited for.
class RunningCommand {
 public:
  // Returns 0, or the number of the system's error.
  int start(const std::string& command, const CommandPipe& output, const CommandPipe& errors) {
    if (const int error = watcher_.start(); error != 0) return error;
    Spawning shell(watcher_.group());
    shell.give_nothing(STDIN_FILENO);
    shell.give(output.write, STDOUT_FILENO);
    shell.give(errors.write, STDERR_FILENO);
    const int error = shell.start(command, process_);
    runs_ = error == 0;
    return error;
  }

  // Returns false while it runs.
  bool has_ended(CommandOutcome& outcome) {
    int status = 0;
    const pid_t got = ::waitpid(process_, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    runs_ = false;
    if (got < 0) {  // another part of this program has waited for it
      outcome.ending = CommandOutcome::Ending::not_started;
      outcome.reason = "its end was not seen: " + system_message();
    } else if (WIFSIGNALED(status)) {
      outcome.ending = CommandOutcome::Ending::signalled;
      outcome.code = WTERMSIG(status);
    } else {
      outcome.ending = CommandOutcome::Ending::exited;
      outcome.code = WEXITSTATUS(status);
    }
    return true;
  }

  // Ends it and what it has started: by SIGTERM, and after a second by SIGKILL.
  void end() {
    if (!runs_) return;
    ::kill(-watcher_.group(), SIGTERM);
    CommandOutcome ignored;
    for (const auto start = CommandClock::now(); CommandClock::now() - start < time_to_end_well;) {
      if (has_ended(ignored)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(-watcher_.group(), SIGKILL);  // also what stays behind a shell that has ended
    if (runs_) wait_for_end_of(process_);
    runs_ = false;
  }

  RunningCommand() = default;
  RunningCommand(const RunningCommand&) = delete;
  RunningCommand& operator=(const RunningCommand&) = delete;
  ~RunningCommand() { end(); }

 private:
  GroupWatcher watcher_;
  pid_t process_ = 0;
  bool runs_ = false;
};

std::string last_line_of(std::string_view text) {
  text = trimmed(text);
  return std::string(text.substr(text.find_last_of("\r\n") + 1));
}

// Whether the system refused a process, by the number of its error.
bool is_lack_of_processes(int error) {
  return error == EAGAIN || error == ENOMEM;
}

// The same by the last words of the local shell, in the forms of dash, bash and BusyBox. Those of another machine, which
// ssh hands on, do not begin so.
bool says_lack_of_processes(const std::string& words) {
  if (!words.starts_with("sh: ")) return false;
  const auto has = [&](std::string_view text) { return words.find(text) != words.npos; };
  return has("Cannot fork") || has("can't fork") ||
         (has("fork: ") && (has("Resource temporarily unavailable") || has("Cannot allocate memory")));
}

// Reads what is there; returns false at the end.
bool read_some(int pipe, std::vector<std::uint8_t>& buffer, std::size_t& count) {
  const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
  count = got > 0 ? static_cast<std::size_t>(got) : 0;
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

std::string signal_in_words(int number) {
  const char* const words = ::strsignal(number);
  return fmt::format("signal {}{}{}", number, words == nullptr ? "" : ", ", words == nullptr ? "" : words);
}

}  // namespace

std::string CommandOutcome::in_words(double silent_seconds) const {
  std::string text;
  switch (ending) {
    case Ending::exited:
      text = code == 0 ? fmt::format("it gave {} bytes", bytes) : fmt::format("exit code {}", code);
      // The shell's way to say it of a command that it has started.
      if (code > 128 && code < 128 + NSIG) text += fmt::format(" ({})", signal_in_words(code - 128));
      break;
    case Ending::signalled:
      text = signal_in_words(code);
      break;
    case Ending::silent:
      text = fmt::format("it wrote nothing for {} s", silent_seconds);
      break;
    case Ending::stopped:
      text = "it was stopped";
      break;
    case Ending::refused:
    case Ending::not_started:
    case Ending::no_process:
      text = reason;
      break;
  }
  return last_line.empty() ? text : fmt::format("{}, and its last words were: {}", text, last_line);
}

CommandOutcome run_command(const std::string& command,
                           const std::function<std::string(std::span<const std::uint8_t>)>& take,
                           const CommandLimits& limits) {
  CommandOutcome outcome;
  CommandPipe output, errors;
  RunningCommand running;
  const auto not_started = [&](const std::string& reason) {
    outcome.ending = CommandOutcome::Ending::not_started;
    outcome.reason = "no shell could be started for it: " + reason;
    return outcome;
  };
  if (!output.open() || !errors.open()) return not_started(system_message());
  if (const int error = running.start(command, output, errors); error != 0) {
    not_started(std::generic_category().message(error));
    if (is_lack_of_processes(error)) outcome.ending = CommandOutcome::Ending::no_process;
    return outcome;
  }
  CommandPipe::close_end(output.write);
  CommandPipe::close_end(errors.write);
  ::fcntl(errors.read, F_SETFL, O_NONBLOCK);  // a program that goes on in the background may keep it open

  std::vector<std::uint8_t> buffer(std::size_t{1} << 20);
  std::string words;  // the end of what it wrote to its standard error
  const auto read_errors = [&] {
    std::size_t count = 0;
    const bool goes_on = read_some(errors.read, buffer, count);
    words.append(reinterpret_cast<const char*>(buffer.data()), count);
    if (words.size() > kept_of_errors) words.erase(0, words.size() - kept_of_errors);
    return goes_on;
  };
  auto last_sign = CommandClock::now();
  for (bool ended = false; !ended;) {
    std::array<pollfd, 2> pipes{pollfd{output.read, POLLIN, 0}, pollfd{errors.read, POLLIN, 0}};
    // Once the output is closed only the end of the command is waited for, which is no event of a pipe.
    ::poll(pipes.data(), pipes.size(), output.read < 0 ? 5 : milliseconds_between_looks);
    if (pipes[1].revents != 0 && !read_errors()) CommandPipe::close_end(errors.read);
    if (pipes[0].revents != 0) {
      std::size_t count = 0;
      if (!read_some(output.read, buffer, count)) CommandPipe::close_end(output.read);
      if (count > 0) {
        outcome.reason = take(std::span<const std::uint8_t>(buffer).first(count));
        outcome.bytes += count;
        last_sign = CommandClock::now();
      }
    }
    if (!outcome.reason.empty()) {
      outcome.ending = CommandOutcome::Ending::refused;
      break;
    }
    if (limits.stop && limits.stop()) {
      outcome.ending = CommandOutcome::Ending::stopped;
      break;
    }
    if (seconds_since(last_sign) > limits.silent_seconds) {
      outcome.ending = CommandOutcome::Ending::silent;
      break;
    }
    ended = output.read < 0 && running.has_ended(outcome);
  }
  running.end();
  if (errors.read >= 0)
    for (std::size_t before = 0; read_errors() && words.size() != before;) before = words.size();
  outcome.last_line = last_line_of(words);
  if (outcome.ending == CommandOutcome::Ending::exited && !outcome.ok() &&
      says_lack_of_processes(outcome.last_line)) {
    outcome.ending = CommandOutcome::Ending::no_process;
    outcome.reason = "its shell got no process";
  }
  return outcome;
}

}  // namespace kindred
