#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/processes/children.h>
#include <kindred/apps/processes/connection.h>
#include <kindred/apps/processes/launch_folder.h>
#include <kindred/apps/processes/launch_outcome.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/launcher.h>
#include <kindred/apps/processes/mpirun.h>
#include <kindred/apps/processes/places.h>
#include <kindred/engine/error.h>

#include <poll.h>        // defines: poll
#include <signal.h>      // defines: kill
#include <sys/socket.h>  // defines: recv
#include <sys/wait.h>    // defines: waitpid
#include <unistd.h>      // defines: read, geteuid

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr int look_every = 50;           // ms: at signals, and whether mpirun has ended
constexpr double to_end_by_itself = 20;  // seconds from an error, or a loss, until mpirun has ended the others
constexpr double to_end_when_told = 5;   // and after it was asked to
constexpr double for_leftovers = 5;      // and processes that it has left, once they were killed
constexpr std::size_t most_words = 1 << 16;  // bytes of what mpirun writes that are kept

// One process of the run.
struct LaunchedProcess {
  OpenFile connection;
  int rank = -1;  // until it has said hello
  pid_t process = 0;
};

class LaunchedRun {
 public:
  // The processes have `to_start` seconds to open MPI since the last of them came or did.
  // `others` are children of this process that are not the run's.
  LaunchedRun(const MpirunPlan& plan, double to_start, std::vector<pid_t> others)
      : listener_(listen_at(plan.socket, plan.processes)),
        others_(std::move(others)),
        to_start_(to_start),
        last_arrival_(now_seconds()) {
    const auto processes = static_cast<std::size_t>(plan.processes);
    seen_.processes = plan.processes;
    seen_.host = host_name();
    seen_.ended.resize(processes);
    seen_.joined.resize(processes);
    seen_.opened.resize(processes);
    RunningMpirun mpirun = start_mpirun(mpirun_start(plan, environment_of_this_process()));
    mpirun_ = mpirun.process;
    words_ = std::move(mpirun.words);
  }

  LaunchOutcome wait() {
    while (!has_ended()) {
      pass_on_signal();
      end_what_does_not();
      if (!look(look_every)) end_what_does_not_start();
    }
    // What was sent before the end is still there to be read.
    for (int i = 0; i < 20 && look(0); ++i) {
    }
    if (seen_.failure || !seen_.ended[0]) clear_up();
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
    for (std::size_t i = 2; i < files.size(); ++i)
      if (files[i].revents != 0) something |= read_from(*processes_[i - 2]);
    if (files[1].revents != 0) something |= read_words();
    if (files[0].revents != 0) something |= accept();
    return something;
  }

  bool accept() {
    OpenFile connection = accept_from(listener_);
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
      case LaunchedMessage::Kind::open:
        if (from.rank >= 0) seen_.opened[static_cast<std::size_t>(from.rank)] = true;
        last_arrival_ = now_seconds();
        break;
      case LaunchedMessage::Kind::failing:  // the others then wait in vain, and not for too long
        note_trouble();
        break;
      case LaunchedMessage::Kind::failed:
        if (!seen_.failure) seen_.failure = message;
        note_trouble();
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
    last_arrival_ = now_seconds();
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
    if (trouble_since_ <= 0) trouble_since_ = now_seconds();
  }

  // The processes agree among themselves on the step after which they stop. A second signal ends this process at once
  // (interrupt.h), and the others with it.
  void pass_on_signal() {
    if (passed_on_ != 0 || interrupt_signal() == 0) return;
    passed_on_ = interrupt_signal();
    for (const auto& process : processes_)
      if (process->connection.is_open() && process->process > 0) ::kill(process->process, passed_on_);
  }

  // Nothing else watches the processes before MPI is open: one that hangs lets the others wait in MPI_Init.
  void end_what_does_not_start() {
    const bool all_are_open = std::find(seen_.opened.begin(), seen_.opened.end(), false) == seen_.opened.end();
    if (all_are_open || trouble_since_ > 0 || now_seconds() - last_arrival_ < to_start_) return;
    std::vector<int> held_up;
    for (const auto& process : processes_)
      if (process->rank >= 0 && !seen_.opened[static_cast<std::size_t>(process->rank)] &&
          is_held_up(process->process))
        held_up.push_back(process->rank);
    std::sort(held_up.begin(), held_up.end());
    seen_.failure = LaunchedMessage{LaunchedMessage::Kind::failed, static_cast<int>(ExitCode::lost), 0,
                                    line_of_missing_processes(seen_, held_up, to_start_)};
    trouble_since_ = now_seconds();
    // mpirun wakes what is stopped before it kills it, so those that wait must be gone by then: they would start after all.
    bool some_were_there = false;
    for (const auto& process : processes_) {
      if (!process->connection.is_open() || process->process <= 0) continue;
      ::kill(process->process, SIGKILL);
      some_were_there = true;
    }
    if (!some_were_there)
      tell_mpirun_to_end();  // otherwise it ends because of them; told as well, it would crash
  }

  // After one process was lost mpirun ends the others. If it does not, this does.
  void end_what_does_not() {
    if (trouble_since_ <= 0) return;
    const double now = now_seconds();
    if (now - trouble_since_ > to_end_by_itself && told_to_end_ <= 0) tell_mpirun_to_end();
    if (told_to_end_ > 0 && now - told_to_end_ > to_end_when_told) ::kill(mpirun_, SIGKILL);
  }

  void tell_mpirun_to_end() {
    told_to_end_ = now_seconds();
    ::kill(mpirun_, end_of_mpirun);
  }

  // After a bad end: what an mpirun that was killed has left, and what the processes had started; then the files that none
  // of them could remove.
  void clear_up() const {
    end_children(for_leftovers, others_);
    remove_left_shard_folders();
  }

  OpenFile listener_, words_;
  std::vector<std::unique_ptr<LaunchedProcess>> processes_;
  LaunchSeen seen_;
  const std::vector<pid_t> others_;
  pid_t mpirun_ = 0;
  int passed_on_ = 0;         // the signal
  const double to_start_;     // seconds
  double last_arrival_;       // of a process, or of its MPI
  double trouble_since_ = 0;  // 0: there is none
  double told_to_end_ = 0;    // when mpirun was; 0: it was not
};

}  // namespace

int launch_processes(const ProcessesAsked& asked) {
  const auto mpirun = find_mpirun(std::getenv("PATH"));
  const char* const flag = asked.gpus ? "--gpus" : "--processes";
  check(mpirun.has_value(), ExitCode::device,
        "{} {}: there is no mpirun in PATH; install Open MPI (Debian, Ubuntu: apt-get install openmpi-bin)",
        flag, asked_size(asked));
  watch_for_interrupts();
  std::vector<pid_t> others = adopt_orphans();
  const LaunchFolder folder;
  MpirunPlan plan;
  plan.mpirun = *mpirun;
  plan.folder = folder.path();
  plan.socket = folder / launcher_socket_name;
  plan.processes = static_cast<int>(asked_size(asked));
  plan.cores = usable_cores();
  plan.is_root = ::geteuid() == 0;
  plan.program = command_again(started_as());
  const LaunchOutcome outcome = LaunchedRun(plan, asked.timeout, std::move(others)).wait();
  if (!outcome.line.empty()) throw Error(static_cast<ExitCode>(outcome.code), outcome.line);
  return outcome.code;
}

}  // namespace kindred
