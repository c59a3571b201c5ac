// Processes below the launcher (launcher.h): what mpirun started, and what that started.
#pragma once

#include <sys/types.h>  // defines: pid_t

#include <optional>
#include <vector>

namespace kindred {

// From now on a process below this one whose parent dies becomes a child of this one, and is not lost from sight. Returns
// the children that there are already: what a script started before it became this program by `exec`.
std::vector<pid_t> adopt_orphans();

// Kills all children of this process, and theirs as they become its own, until there are none or for `seconds`. Leaves alone
// those of `others`, which nobody may have waited for, so that their numbers are still theirs.
void end_children(double seconds, const std::vector<pid_t>& others);

// Kills the children that a process has now.
void kill_children_of(pid_t process);

// Watches for processes that somebody stops. `now` is in seconds.
class StoppedWatch {
 public:
  // To be called every now and then; looks once a second. Returns for how long all of `processes` have been stopped; 0 if one
  // is not, or if there is none. `starter` has started them and cannot be meant alone: if it alone is seen stopped twice,
  // because whoever stops all may not have come to the others the first time, it is woken.
  double look(double now, const std::vector<pid_t>& processes, pid_t starter);

 private:
  double next_look_ = 0;
  bool starter_was_stopped_ = false;
  std::optional<double> all_since_{};
};

// The process is stopped, by a signal or a debugger.
bool is_stopped(pid_t process);

// The process is stopped, or waits for a device or a file system that does not let go of it.
bool is_held_up(pid_t process);

}  // namespace kindred
