#include <kindred/apps/processes/launcher/children.h>
#include <kindred/engine/seconds_since.h>

#include <signal.h>     // defines: kill
#include <sys/prctl.h>  // defines: prctl
#include <sys/wait.h>   // defines: waitpid
#include <unistd.h>     // defines: getpid

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct ProcessState {
  char letter = '?';  // as ps shows it
  pid_t parent = 0;
};

ProcessState state_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string text;
  std::getline(file, text, '\0');  // does not throw if the process ends meanwhile, as iterators do
  ProcessState state;
  // The name, in parentheses, may hold anything.
  if (const std::size_t name_ends = text.rfind(')'); name_ends != text.npos)
    std::istringstream(text.substr(name_ends + 1)) >> state.letter >> state.parent;
  return state;
}

// Also those that have ended and that nobody has waited for.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t process = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), process);
    if (read.ec != std::errc{} || read.ptr != name.data() + name.size()) continue;
    if (state_of(name).parent == parent) children.push_back(process);
  }
  return children;
}

}  // namespace

std::vector<pid_t> adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return children_of(::getpid());
}

void end_children(double seconds, const std::vector<pid_t>& others) {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < seconds) {
    bool some_are_left = false;
    for (const pid_t child : children_of(::getpid())) {
      if (std::find(others.begin(), others.end(), child) != others.end()) continue;
      some_are_left = true;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, WNOHANG);  // its children, if it has ended, are this one's already
    }
    if (!some_are_left) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void kill_children_of(pid_t process) {
  for (const pid_t child : children_of(process)) ::kill(child, SIGKILL);
}

double StoppedWatch::look(double now, const std::vector<pid_t>& processes, pid_t starter) {
  if (now >= next_look_) {
    constexpr double every = 1;
    next_look_ = now + every;
    const bool all_are = !processes.empty() && std::all_of(processes.begin(), processes.end(), is_stopped);
    if (!all_are)
      all_since_.reset();
    else if (!all_since_)
      all_since_ = now;
    const bool starter_is = !all_are && is_stopped(starter);
    if (starter_is && starter_was_stopped_) ::kill(starter, SIGCONT);
    starter_was_stopped_ = starter_is;
  }
  return all_since_ ? now - *all_since_ : 0;
}

bool is_stopped(pid_t process) {
  const char letter = state_of(std::to_string(process)).letter;
  return letter == 'T' || letter == 't';
}

bool is_held_up(pid_t process) {
  return is_stopped(process) || state_of(std::to_string(process)).letter == 'D';
}

}  // namespace kindred
