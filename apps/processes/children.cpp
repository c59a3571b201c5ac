#include <kindred/apps/processes/children.h>
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
#include <iterator>
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
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ProcessState state;
  // The name, in parentheses, may hold anything.
  if (const std::size_t name_ends = text.rfind(')'); name_ends != text.npos)
    std::istringstream(text.substr(name_ends + 1)) >> state.letter >> state.parent;
  return state;
}

// Also those that have ended and that nobody has waited for.
std::vector<pid_t> children_now() {
  std::vector<pid_t> children;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    pid_t process = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), process);
    if (read.ec != std::errc{} || read.ptr != name.data() + name.size()) continue;
    if (state_of(name).parent == ::getpid()) children.push_back(process);
  }
  return children;
}

}  // namespace

std::vector<pid_t> adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return children_now();
}

void end_children(double seconds, const std::vector<pid_t>& others) {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < seconds) {
    bool some_are_left = false;
    for (const pid_t child : children_now()) {
      if (std::find(others.begin(), others.end(), child) != others.end()) continue;
      some_are_left = true;
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, WNOHANG);  // its children, if it has ended, are this one's already
    }
    if (!some_are_left) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool is_held_up(pid_t process) {
  const char letter = state_of(std::to_string(process)).letter;
  return letter == 'T' || letter == 't' || letter == 'D';
}

}  // namespace kindred
