// Processes below the launcher (launcher.h): what mpirun started, and what that started.
#pragma once

#include <sys/types.h>  // defines: pid_t

#include <vector>

namespace kindred {

// From now on a process below this one whose parent dies becomes a child of this one, and is not lost from sight. Returns
// the children that there are already: what a script started before it became this program by `exec`.
std::vector<pid_t> adopt_orphans();

// Kills all children of this process, and theirs as they become its own, until there are none or for `seconds`. Leaves alone
// those of `others`, which nobody may have waited for, so that their numbers are still theirs.
void end_children(double seconds, const std::vector<pid_t>& others);

// The process is stopped by a signal or a debugger, or waits for a device or a file system that does not let go of it.
bool is_held_up(pid_t process);

}  // namespace kindred
