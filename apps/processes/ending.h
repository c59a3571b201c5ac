// How a process of many ends: one line for all of them, written once, and one code.
//
// An error in one process ends all: the transport tells rank 0, which writes the line and ends the others
// (third_party/mpi/mpi_world.h). At a good end all wait for each other, and rank 0 alone gives the launcher a code other
// than 0, because a launcher ends the others as soon as it sees one.
#pragma once

#include <kindred/engine/error.h>

#include <functional>
#include <string>

namespace kindred {

// From now on run_main() ends this process as one of world(), whose MPI is open.
void end_with_the_others();

// Before that: an error ends this process as rank 0, or as another one, of those that were started. From now on the
// launcher also learns of a line that rank 0 writes itself, because it has no memory left.
void end_before_mpi_is_open(int rank);

// An error of a rank above 0 before MPI is open. Most errors then are all processes', and rank 0 writes the line; its end makes
// mpirun end the others. So this one waits for its turn, and meanwhile for its end. If that does not come, the error is of
// this process alone, and it writes the line itself, with its rank and host; an empty message is not written.
[[noreturn]] void end_above_rank_0(int rank, ExitCode code, const std::string& message);

// Seconds until a rank's turn: 0 for rank 0; then they follow each other, so that the end of the first one that writes a
// line is that of the others.
double seconds_until_turn(int rank);
// By then all had their turn.
inline constexpr double seconds_of_all_turns = 9;

// The same by a thread that watches another one open MPI, when it is this rank's turn.
[[noreturn]] void end_while_mpi_opens(int rank, ExitCode code, const std::string& message);

// What the same command does after a run that ended because one of its processes was lost. A program that knows what it has
// saved says it, before start_processes(), because the process that starts the others ends with that line too; `advice` is
// called when the line is made, by any thread. Otherwise, or if that throws, it is advice_to_go_on().
void set_advice_after_loss(std::function<std::string()> advice);
std::string advice_after_loss();

// The line with which the run ends: to the launcher if there is one, otherwise to standard error. After a lost process it also
// says how to go on.
void write_last_line(ExitCode code, const std::string& message);

}  // namespace kindred
