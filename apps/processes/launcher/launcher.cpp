#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/connection.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/launcher/children.h>
#include <kindred/apps/processes/launcher/launch_folder.h>
#include <kindred/apps/processes/launcher/launch_limits.h>
#include <kindred/apps/processes/launcher/launch_outcome.h>
#include <kindred/apps/processes/launcher/launcher.h>
#include <kindred/apps/processes/launcher/mpirun.h>
#include <kindred/apps/processes/launcher/watched_time.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/error.h>

#include <poll.h>        // defines: poll
#include <signal.h>      // defines: kill
#include <sys/socket.h>  // defines: recv
#include <sys/wait.h>    // defines: waitpid
#include <unistd.h>      // defines: geteuid

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr int look_every = 50;           // ms: at signals, and whether mpirun has ended
constexpr double to_end_by_itself = 20;  // seconds from an error, or a loss, until mpirun has ended the others
constexpr double to_end_without_them = 5;  // and from the others' end until it has ended itself
constexpr double for_leftovers = 5;        // and processes that it has left, once they were killed

class LaunchedRun {
 public:
  // `timeout`: the processes have so many seconds to open MPI since the last of them came or did, and to end once rank 0 is
  // done; and so long they may all be stopped.
  // `others` are children of this process that are not the run's.
  LaunchedRun(const MpirunPlan& plan, double timeout, std::vector<pid_t> others)
      : listener_(listen_at(plan.socket, plan.processes)), others_(std::move(others)), timeout_(timeout) {
    const auto processes = static_cast<std::size_t>(plan.processes);
    seen_.processes = plan.processes;
    seen_.host = host_name();
    for (auto* const codes : {&seen_.done, &seen_.ended}) codes->resize(processes);
    for (auto* const flags : {&seen_.joined, &seen_.opened}) flags->resize(processes);
    RunningMpirun mpirun = start_mpirun(mpirun_start(plan, environment_of_this_process()));
    mpirun_ = mpirun.process;
    words_ = std::move(mpirun.words);
  }

  LaunchOutcome wait() {
    while (!has_ended()) {
      time_.go_on();
      pass_on_signal();
      end_what_does_not();
      if (look(look_every)) continue;
      end_what_does_not_start();
      end_what_is_stopped();
      end_what_stays();
    }
    // What was sent before the end is still there to be read.
    for (int i = 0; i < 20 && look(0); ++i) {
    }
    if (seen_.failure || seen_.first_gone || seen_.has_killed || !seen_.ended[0]) clear_up();
    return launch_outcome(seen_);
  }

 private:
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
    // Who is gone comes first: the others may speak because of that.
    for (const bool is_gone : {true, false})
      for (std::size_t i = 2; i < files.size(); ++i)
        if (files[i].revents != 0 && ((files[i].revents & POLLHUP) != 0) == is_gone)
          something |= read_from(*processes_[i - 2]);
    if (files[1].revents != 0) something |= read_words(words_, seen_.words);
    if (files[0].revents != 0) something |= accept();
    return something;
  }

  bool accept() {
    OpenFile connection = accept_from(listener_);
    if (!connection.is_open()) return false;
    processes_.push_back(std::make_unique<LaunchedProcess>(LaunchedProcess{std::move(connection), -1, 0}));
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
      case LaunchedMessage::Kind::open:
        if (from.rank >= 0) seen_.opened[static_cast<std::size_t>(from.rank)] = true;
        last_arrival_ = time_.seconds();
        break;
      case LaunchedMessage::Kind::failing:  // the others then wait in vain, and not for too long
        note_trouble();
        break;
      case LaunchedMessage::Kind::failed:
        note_interrupt(message->number);
        if (!seen_.failure) seen_.failure = message;
        note_trouble();
        break;
      case LaunchedMessage::Kind::wrote:
        if (from.rank == 0) seen_.own_line = message->number;
        break;
      case LaunchedMessage::Kind::done:
        note_interrupt(message->number);
        if (from.rank >= 0) seen_.done[static_cast<std::size_t>(from.rank)] = message->number;
        if (from.rank == 0) done_since_ = time_.seconds();
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
    last_arrival_ = time_.seconds();
    answer_hello(process.connection, process.rank == 0);
    if (passed_on_ != 0) ::kill(process.process, passed_on_);
  }

  void lose(LaunchedProcess& process) {
    process.connection.close();
    if (process.rank < 0 || seen_.ended[static_cast<std::size_t>(process.rank)]) return;
    if (!seen_.first_gone) seen_.first_gone = process.rank;
    note_trouble();
  }

  void note_trouble() {
    if (!trouble_since_) trouble_since_ = time_.seconds();
  }

  // mpirun ends the others with SIGTERM once a process is gone, and they take it for the user's.
  void note_interrupt(int code) {
    const bool is_of_the_user = code != static_cast<int>(ExitCode::interrupted) || passed_on_ != 0;
    if (!is_of_the_user && seen_.first_gone && !seen_.failure) seen_.was_gone_before_interrupt = true;
  }

  // The processes agree among themselves on the step after which they stop. A second signal ends this process at once
  // (interrupt.h), and the others with it.
  void pass_on_signal() {
    if (passed_on_ != 0 || interrupt_signal() == 0) return;
    passed_on_ = interrupt_signal();
    if (all_are_open() || trouble_since_) return signal_all(processes_, passed_on_);
    // Those that are there would wait for the rest, and have nothing to save.
    give_up(ExitCode::interrupted,
            fmt::format("{}: the processes had not started; {}", interrupt_name(), advice_after_loss()));
    kill_mpirun();
  }

  bool all_are_open() const {
    return std::find(seen_.opened.begin(), seen_.opened.end(), false) == seen_.opened.end();
  }

  // Nothing else watches the processes before MPI is open: one that hangs lets the others wait in MPI_Init.
  void end_what_does_not_start() {
    if (all_are_open() || trouble_since_ || time_.seconds() - last_arrival_ < timeout_) return;
    const std::vector<int> held_up = ranks_where(processes_, [&](const LaunchedProcess& process) {
      return !seen_.opened[static_cast<std::size_t>(process.rank)] && is_held_up(process.process);
    });
    give_up(ExitCode::lost, line_of_missing_processes(seen_, held_up, timeout_));
  }

  // While MPI is open the processes miss one that is stopped, unless all are.
  void end_what_is_stopped() {
    if (trouble_since_ || !all_are_open()) return;
    const double stopped_for = stopped_.look(time_.seconds(), numbers_of(processes_), mpirun_);
    if (!done_since_ && stopped_for >= timeout_)
      give_up(ExitCode::lost, line_of_stopped_processes(seen_, timeout_));
  }

  // All is written once rank 0 is done, so nobody needs to wait long for the others' end, or mpirun's.
  void end_what_stays() {
    if (trouble_since_ || !done_since_ || time_.seconds() - *done_since_ < timeout_) return;
    const std::vector<int> present = ranks_where(processes_, [](const LaunchedProcess&) { return true; });
    const std::vector<int> held_up =
        ranks_where(processes_, [](const LaunchedProcess& process) { return is_held_up(process.process); });
    seen_.stayed = who_stayed(seen_, present, held_up);
    note_trouble();
    kill_processes();
  }

  void give_up(ExitCode code, std::string line) {
    seen_.failure = LaunchedMessage{LaunchedMessage::Kind::failed, static_cast<int>(code), 0, std::move(line)};
    note_trouble();
    kill_processes();
  }

  // After one process was lost mpirun ends the others. If it does not, this does.
  void end_what_does_not() {
    if (!trouble_since_) return;
    const double now = time_.seconds();
    if (!killed_since_ && now - *trouble_since_ > to_end_by_itself) kill_processes();
    if (killed_since_ && now - *killed_since_ > to_end_without_them) kill_mpirun();
  }

  void kill_mpirun() {
    seen_.has_killed_mpirun = true;
    ::kill(mpirun_, SIGKILL);
  }

  // mpirun then ends by itself. It would wake what is stopped before it kills it, and those would go on after all, so that
  // all must be gone before it is woken.
  void kill_processes() {
    seen_.has_killed = true;
    killed_since_ = time_.seconds();
    signal_all(processes_, SIGKILL);
    kill_children_of(mpirun_);
    ::kill(mpirun_, SIGCONT);
  }

  // After a bad end: what an mpirun that was killed has left, and what the processes had started; then the files that none
  // of them could remove.
  void clear_up() const {
    end_children(for_leftovers, others_);
    remove_left_shard_folders();
  }

  OpenFile listener_, words_;
  LaunchedProcesses processes_;
  LaunchSeen seen_;
  const std::vector<pid_t> others_;
  pid_t mpirun_ = 0;
  int passed_on_ = 0;     // the signal
  const double timeout_;  // seconds
  WatchedTime time_;
  // By it:
  double last_arrival_ = 0;  // of a process, or of its MPI
  std::optional<double> trouble_since_{}, done_since_{}, killed_since_{};
  StoppedWatch stopped_;
};

}  // namespace

int launch_processes(const ProcessesAsked& asked) {
  const auto mpirun = find_mpirun(std::getenv("PATH"));
  const char* const flag = asked.gpus ? "--gpus" : "--processes";
  check(mpirun.has_value(), ExitCode::device,
        "{} {}: there is no mpirun in PATH; install Open MPI (Debian, Ubuntu: apt-get install openmpi-bin)",
        flag, asked_size(asked));
  check_limits_of_launch(static_cast<int>(asked_size(asked)));
  watch_for_interrupts();
  std::vector<pid_t> others = adopt_orphans();
  const LaunchFolder folder;
  const std::unique_ptr<LaunchFolder> in_memory = launch_folder_in_memory();
  MpirunPlan plan;
  plan.mpirun = *mpirun;
  plan.folder = folder.path();
  if (in_memory) plan.memory = in_memory->path();
  plan.socket = folder / launcher_socket_name;
  plan.processes = static_cast<int>(asked_size(asked));
  plan.cores = usable_cores();
  plan.is_root = ::geteuid() == 0;
  plan.program = command_again(started_as());
  const LaunchOutcome outcome = LaunchedRun(plan, asked.timeout, std::move(others)).wait();
  if (!outcome.line.empty()) throw Error(static_cast<ExitCode>(outcome.code), outcome.line, outcome.cause);
  if (!outcome.warning.empty())
    std::fprintf(stderr, "%s\n", last_line(ExitCode::interrupted, "warning: " + outcome.warning).c_str());
  return outcome.code;
}

}  // namespace kindred
