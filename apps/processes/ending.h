// How a process of many ends: one line for all of them, written once, and one code.
//
// An error in one process ends all: the transport tells rank 0, which writes the line and ends the others
// (third_party/mpi/mpi_world.h). At a good end all wait for each other, and rank 0 alone gives the launcher a code other
// than 0, because a launcher ends the others as soon as it sees one.
#pragma once

#include <kindred/engine/error.h>

#include <string>

namespace kindred {

// From now on run_main() ends this process as one of world(), whose MPI is open.
void end_with_the_others();

// Before that, in a process that another one started (launched.h): its errors go to the launcher, which shows the first.
void end_through_launcher();

// The line with which the run ends: to the launcher if there is one, otherwise to standard error.
void write_last_line(ExitCode code, const std::string& message);

}  // namespace kindred
