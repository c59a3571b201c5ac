// Starting processes of a test program with Open MPI's mpirun, on this machine, also as root and on fewer cores.
#pragma once

#include <string>
#include <vector>

namespace kindred::test {

bool has_mpirun();  // in PATH

// What this process's environment must have, and the command that starts `program` in that many processes.
void allow_mpirun();
std::vector<std::string> mpirun_command(int processes, const std::string& program,
                                        const std::vector<std::string>& arguments);

// The path of the executable that runs; `name` beside it.
std::string this_program();
std::string program_beside(const std::string& name);

}  // namespace kindred::test
