// The line of a process that ends because it has no memory left (console/main.h).
#pragma once

namespace kindred {

// That line is written at once, wherever the process is and without memory, so it does not go to the launcher (launched.h). In
// rank 0 it goes to the user. From now on the launcher is told just before, so that it does not write a second one. The lines
// of other ranks go to mpirun, and the launcher hands one on. Call it once, in rank 0.
void tell_launcher_of_lines_without_memory();

}  // namespace kindred
